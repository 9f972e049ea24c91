"""What is known about one request while it is served: the source of its access-log line and of its metrics."""

import time
from dataclasses import dataclass, field

from gateway.policy.authorize import AuthorizedRequest
from gateway.policy.default_encryption import EncryptionSource
from gateway.policy.permission import Permission
from gateway.policy.rules import ModeName
from gateway.s3.authenticate import VerifiedRequest
from gateway.s3.request import S3Request

_INTERNAL_ERROR = 500


@dataclass(slots=True)
class Exchange:
    """The running record of one request. It holds no header values and no keys.

    Attributes:
        request_id: the gateway's id of the request.
        tls_version: of the client's connection, when it is known.
        piece_bytes: most bytes of its body that are passed on at once.
        mode: the encryption that the object got or has.
        bytes_in: body bytes read from the client.
        bytes_out: body bytes written to the client.
        key_attempts: customer keys that were tried before one fitted.
        policy_effect: what was decided about the request; None when it did not come so far.
        policy_rule: the statement or rule that decided.
        failed_after_headers: whether an answer that began as a success ended as an error.
    """

    request_id: str
    client_address: str
    method: str
    tls_version: str | None = None
    piece_bytes: int = 65_536
    started: float = field(default_factory=time.perf_counter)
    operation: str = "Unknown"
    bucket: str | None = None
    object_key: str | None = None
    identity: str | None = None
    access_key_id: str | None = None
    mode: ModeName = ModeName.NONE
    source: EncryptionSource = EncryptionSource.NONE
    status: int = 0
    error_code: str | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    upstream_status: int | None = None
    upstream_request_id: str | None = None
    key_attempts: int = 0
    policy_effect: str | None = None
    policy_rule: str | None = None
    failed_after_headers: bool = False

    def note_request(self, request: S3Request) -> None:
        """Remember what the request is about."""
        self.operation = request.operation.info.name
        self.bucket = request.bucket
        self.object_key = request.object_key

    def note_verified(self, verified: VerifiedRequest) -> None:
        """Remember who asked."""
        if verified.identity is not None:
            self.identity = verified.identity.name
            self.access_key_id = verified.identity.credential.access_key_id

    def note_authorized(self, authorized: AuthorizedRequest) -> None:
        """Remember the encryption that was decided."""
        self.mode = authorized.mode
        self.source = authorized.source
        self.note_permission(authorized.permission)

    def note_permission(self, permission: Permission) -> None:
        """Remember what let the request happen, or did not."""
        self.policy_effect = permission.effect
        self.policy_rule = permission.rule

    def note_late_failure(self, code: str) -> None:
        """Remember a failure that shows in the body of an answer that began as a success."""
        self.error_code = code
        self.failed_after_headers = True

    def note_status(self, status: int) -> None:
        """Remember the answer's status; a success that turned out to be an error counts as an error."""
        self.status = _INTERNAL_ERROR if self.failed_after_headers else status

    def seconds(self) -> float:
        """Seconds since the request arrived."""
        return time.perf_counter() - self.started
