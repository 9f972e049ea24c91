"""Mode ``cse``: the gateway seals the object itself, and S3 sees ciphertext only."""

from gateway.modes.mode import Subject
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.s3.headers import Headers


class ClientSide:
    """Nothing is asked of S3 and nothing has to be proven by it: only sealed bytes leave the gateway."""

    name = ModeName.CSE

    def request_headers(self, rule: EncryptionRule, subject: Subject) -> Headers:  # noqa: ARG002 - the protocol's shape
        """No header field."""
        return Headers()

    def proven_by(self, requested: Headers, answered: Headers) -> bool:  # noqa: ARG002 - the protocol's shape
        """Always: the proof is in the bytes."""
        return True
