"""What a vault needs of Kubernetes: tokens of service accounts, and the TokenReview API that says whose they are.

The tokens are real JSON web tokens, signed with RS256 as a cluster does, and the API checks them: the signature, the
expiry, and whether the account is still there.

Source: Kubernetes API reference, "TokenReview v1"; RFC 7515 and RFC 7519.
"""

import base64
import json
import secrets
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lab.certificates import CertificateAuthority

AUDIENCE = "https://kubernetes.default.svc"
ISSUER = "https://kubernetes.default.svc.cluster.local"


class TokenIssuer:
    """Signs JSON web tokens with a key of its own.

    Attributes:
        public_key: PEM of the key that verifies them.
    """

    def __init__(self) -> None:
        """Makes the key."""
        self._key = rsa.generate_private_key(65537, 2048)
        self.public_key = (
            self._key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def service_account_token(
        self, namespace: str, account: str, *, seconds: int = 600, audience: str = AUDIENCE
    ) -> str:
        """A token as Kubernetes projects it into a pod; with negative ``seconds`` one that has expired."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": [audience],
            "iat": now - 3600,
            "nbf": now - 3600,
            "exp": now + seconds,
            "jti": secrets.token_hex(8),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": f"uid-{account}"}},
        }
        signed = f"{_encode({'alg': 'RS256', 'typ': 'JWT'})}.{_encode(claims)}"
        return f"{signed}.{_base64(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that this issuer signed and that has not expired, else None."""
        try:
            signed, _, signature = token.rpartition(".")
            self._key.public_key().verify(_bytes(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            claims: dict[str, Any] = json.loads(_bytes(signed.split(".")[1]))
        except (InvalidSignature, ValueError, IndexError):
            return None
        return claims if claims["exp"] > time.time() else None


class Kubernetes:
    """The TokenReview API of a cluster, over TLS on loopback.

    Attributes:
        address: ``https://localhost:PORT``.
        ca_file: the CA bundle that verifies it.
        issuer: makes the tokens of the cluster's service accounts.
        reviews: how many reviews it was asked for.
        deleted: ``namespace:account`` of accounts that are gone.
    """

    def __init__(self, authority: CertificateAuthority) -> None:
        """It serves from :meth:`start` on."""
        self.ca_file = authority.ca_file
        self.issuer = TokenIssuer()
        self.reviews = 0
        self.deleted: set[str] = set()
        self._files = authority.issue_server("kubernetes")
        self._server: ThreadingHTTPServer | None = None
        self.address = ""

    def start(self) -> None:
        """Serve in threads of this process."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._files.certificate, self._files.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def review(self, review: dict[str, Any]) -> dict[str, Any]:
        """The review with its status."""
        self.reviews += 1
        spec = review["spec"]
        claims = self.issuer.verify(spec["token"])
        user = "" if claims is None else claims["sub"]
        known = claims is not None and user.removeprefix("system:serviceaccount:") not in self.deleted
        status: dict[str, Any] = {"authenticated": known}
        if known and claims is not None:
            account = claims["kubernetes.io"]["serviceaccount"]
            status["user"] = {"username": user, "uid": account["uid"], "groups": ["system:serviceaccounts"]}
            status["audiences"] = spec.get("audiences") or claims["aud"]
        return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec, "status": status}


def _handler(cluster: Kubernetes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reviewer = cluster.issuer.verify(self.headers.get("Authorization", "").removeprefix("Bearer "))
            if reviewer is None or self.path != "/apis/authentication.k8s.io/v1/tokenreviews":
                self._answer(401, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401})
                return
            self._answer(201, cluster.review(json.loads(body)))

        def _answer(self, status: int, answer: dict[str, Any]) -> None:
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server uses
            """Quiet: the requests are counted, not logged."""

    return Handler


def _encode(value: object) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
