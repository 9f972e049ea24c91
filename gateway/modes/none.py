"""Mode ``none``: the request stays as it was received. It has to be asked for by name."""

from gateway.modes.mode import Subject
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.s3.headers import Headers


class NoEncryption:
    """Nothing is added and nothing has to be proven."""

    name = ModeName.NONE

    def request_headers(self, rule: EncryptionRule, subject: Subject) -> Headers:  # noqa: ARG002 - the protocol's shape
        """No header field."""
        return Headers()

    def proven_by(self, requested: Headers, answered: Headers) -> bool:  # noqa: ARG002 - the protocol's shape
        """Always: nothing was promised."""
        return True
