"""The ``Credential`` of a Signature Version 4: an access key and the day, region and service that it signs for."""

import re
from dataclasses import dataclass
from typing import NoReturn

from gateway.errors import S3Error
from gateway.s3 import sigv4
from gateway.s3.signature_errors import printable

SERVICE = "s3"

_DATE = re.compile(r"[0-9]{8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CredentialScope:
    """A checked ``<access key>/<date>/<region>/s3/aws4_request``.

    Attributes:
        access_key_id: who signs.
        date: the day as ``YYYYMMDD``.
        region: the region as the client names it. Any is taken: a client signs again with whatever region it learns.
    """

    access_key_id: str
    date: str
    region: str

    def render(self) -> str:
        """The scope as it stands in the string to sign: everything but the access key."""
        return sigv4.credential_scope(self.date, self.region, SERVICE)


@dataclass(frozen=True, slots=True)
class ScopeFault:
    """How a bad credential is answered: it depends on where the credential stood.

    Attributes:
        code: the S3 error code.
        prefix: the beginning of the message.
        mismatch_prefix: the beginning of the message about a day that is not the request's.
    """

    code: str
    prefix: str
    mismatch_prefix: str

    def refuse(self, problem: str) -> NoReturn:
        """Raise the S3 error for ``problem``."""
        raise S3Error(self.code, printable(f"{self.prefix} {problem}"))


def parse_credential(credential: str, timestamp: str, fault: ScopeFault) -> CredentialScope:
    """Parse a credential and hold it against the time of the request.

    Args:
        credential: the text; an access key may contain ``/``, so it is read from its end.
        timestamp: when the request was signed, ``YYYYMMDDTHHMMSSZ``.
        fault: how to answer.

    Raises:
        S3Error: of ``fault``'s code.
    """
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or not parts[0]:
        fault.refuse('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".')
    access_key_id, date, region, service, terminator = parts
    if not _DATE.fullmatch(date):
        fault.refuse(f'incorrect date format "{date}". This date in the credential must be in the format "yyyyMMdd".')
    if service != SERVICE:
        fault.refuse(f'incorrect service "{service}". This endpoint belongs to "{SERVICE}".')
    if terminator != sigv4.SCOPE_TERMINATOR:
        fault.refuse(f'incorrect terminal "{terminator}". This endpoint uses "{sigv4.SCOPE_TERMINATOR}".')
    if date != timestamp[:8]:
        raise S3Error(
            fault.code,
            f'{fault.mismatch_prefix}Invalid credential date "{date}". '
            f'This date is not the same as X-Amz-Date: "{timestamp[:8]}".',
        )
    return CredentialScope(access_key_id, date, region)
