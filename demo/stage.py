"""What the demonstration needs: a store, a vault and the gateway, all with TLS, on free ports of this machine."""

import base64
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.sealing import keyring_in, sealed_rule
from lab.seaweed import SeaweedFS

#: Where the vault keeps the key for SSE-C, below the KV engine ``secret``.
KEY_PATH = "s3/demo"
#: One bucket per mode; the bucket has the mode's name.
MODES = ("none", "sse-s3", "sse-kms", "sse-c", "cse")
#: The bucket whose uploads have to name their encryption themselves.
POLICED_BUCKET = "policed"
_POLICY = {
    "Version": "2012-10-17",
    "Statement": {
        "Sid": "EncryptEverything",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{POLICED_BUCKET}/*",
        "Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"}},
    },
}


@dataclass(frozen=True, slots=True)
class Stage:
    """The running parts. Everything they write is in ``directory``, which goes when they do.

    Attributes:
        keyring: the file with the key that wraps the data keys of bucket ``cse``.
    """

    directory: Path
    store: SeaweedFS
    vault: OpenBao
    gateway: Gateway
    keyring: Path

    def environment(self, endpoint: str) -> dict[str, str]:
        """What the application gets: the same for the store and for the gateway, but for the endpoint."""
        return {
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_CA_BUNDLE": str(self.gateway.ca_file),
            "AWS_ACCESS_KEY_ID": self.store.credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": self.store.credentials.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            # Nothing of the user's own configuration takes part.
            "AWS_CONFIG_FILE": str(self.directory / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "no-credentials"),
        }

    def rotate_key(self) -> int:
        """Put a new version of the SSE-C key into the vault; its number."""
        return self.vault.put_random_key(KEY_PATH)

    def customer_key(self, version: int) -> bytes:
        """The SSE-C key as the vault holds it."""
        answer = self.vault.request("GET", f"secret/data/{KEY_PATH}?version={version}")
        return base64.b64decode(answer["data"]["data"]["key"])


def rules(store: SeaweedFS) -> list[dict[str, Any]]:
    """One rule per mode. SeaweedFS names KMS keys; on AWS a rule has ``kms_key_arn``."""
    context = {"application": "demo", "object": "{bucket}/{object_key}"}
    kms = {"kms_key_name": store.kms_key_id, "encryption_context": context}
    return [
        {"name": "in the clear", "buckets": ["none"], "mode": "none"},
        {"name": "keys of the store", "buckets": ["sse-s3"], "mode": "sse-s3"},
        {"name": "keys of a KMS", "buckets": ["sse-kms"], "mode": "sse-kms", **kms},
        {"name": "keys of our vault", "buckets": ["sse-c"], "mode": "sse-c", "customer_key": "demo"},
        sealed_rule("cse", name="sealed by the gateway"),
        {"name": "two layers", "buckets": ["dsse-kms"], "mode": "dsse-kms", **kms},
        {"name": "everything else", "buckets": ["*"], "mode": "sse-s3"},
    ]


@contextmanager
def running() -> Iterator[Stage]:
    """Start everything; stop it and remove its files at the end."""
    with ExitStack() as cleanup:
        directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="sealgate-demo-")))
        authority = CertificateAuthority(directory / "tls")
        vault = OpenBao(directory / "openbao", authority)
        cleanup.callback(vault.kill)
        vault.start()
        store = SeaweedFS(directory / "seaweedfs", authority, vault=vault)
        cleanup.callback(store.kill)
        store.start()
        vault.put_random_key(KEY_PATH)
        sealing, policy = directory / "sealing", directory / "policy.json"
        policy.write_text(json.dumps(_POLICY))
        gateway = Gateway(
            directory / "gateway",
            authority,
            store,
            rules=rules(store),
            vault=vault,
            customer_keys={"demo": KEY_PATH},
            sealing=sealing,
            options={"policies": [{"name": "house rules", "file": str(policy)}]},
            credentials=store.credentials,
        )
        cleanup.callback(gateway.stop)
        gateway.start()
        yield Stage(directory, store, vault, gateway, keyring_in(sealing))
