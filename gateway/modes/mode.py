"""What every encryption mode can do; one file per mode beside this one."""

from dataclasses import dataclass
from typing import Protocol

from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretBytes
from gateway.s3.headers import Headers


@dataclass(frozen=True, slots=True)
class Subject:
    """What is about to be encrypted, and for whom.

    Attributes:
        bucket: the bucket's name.
        object_key: the decoded object key.
        identity: the client's name in the configuration.
        customer_key: the 32-byte key of this object, for ``sse-c`` only.
    """

    bucket: str
    object_key: str
    identity: str
    customer_key: SecretBytes | None = None


class Mode(Protocol):
    """One way for S3 to encrypt an object."""

    @property
    def name(self) -> ModeName:
        """The mode's name in rules, metrics and logs."""

    def request_headers(self, rule: EncryptionRule, subject: Subject) -> Headers:
        """The header fields that ask S3 for this encryption when an object is created."""

    def proven_by(self, requested: Headers, answered: Headers) -> bool:
        """Whether a successful answer shows that the object got the encryption that ``requested`` asked for."""
