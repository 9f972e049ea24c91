"""The user-metadata entry of sealed objects.

    v1                  a multipart object
    v1;size=N           a whole object of N plaintext bytes
    v1;...;alias=PROOF  a server-side copy; PROOF is its alias proof in base64url without padding

The size is a hint that saves requests in lists: what it says must agree with the authenticated envelope.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from gateway.crypto.sealed.faults import Fault
from gateway.errors import IntegrityError

#: The header field that carries the entry.
MARKER = "x-amz-meta-sealgate"

#: 43 characters are 32 bytes. The last one carries four bits only, so a quarter of the alphabet can stand there.
_MARKER = re.compile(r"v1(?:;size=(0|[1-9][0-9]{0,15}))?(?:;alias=([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Marker:
    """What the entry says.

    Attributes:
        plaintext_bytes: the size of the plaintext; None when the entry does not say.
        alias: the 32 bytes of an alias proof; None for an object at the location it was sealed for.
    """

    plaintext_bytes: int | None = None
    alias: bytes | None = None

    def render(self) -> str:
        """The entry's value."""
        size = "" if self.plaintext_bytes is None else f";size={self.plaintext_bytes}"
        alias = "" if self.alias is None else f";alias={urlsafe_b64encode(self.alias).decode('ascii').rstrip('=')}"
        return f"v1{size}{alias}"

    @classmethod
    def parse(cls, text: str) -> "Marker":
        """Read an entry's value.

        Raises:
            IntegrityError: ``marker``.
        """
        found = _MARKER.fullmatch(text)
        if found is None:
            raise IntegrityError(Fault.MARKER, "the metadata entry that marks sealed objects is malformed")
        size, alias = found.groups()
        return cls(
            None if size is None else int(size),
            None if alias is None else urlsafe_b64decode(alias + "="),
        )
