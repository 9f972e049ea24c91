"""The modes by name, and the mode that an answer's header fields show."""

from collections.abc import Mapping

from gateway.modes.cse import ClientSide
from gateway.modes.kms import Kms
from gateway.modes.mode import Mode
from gateway.modes.none import NoEncryption
from gateway.modes.sse_c import SseC
from gateway.modes.sse_s3 import SseS3
from gateway.policy.rules import ModeName
from gateway.s3.encryption_headers import SSE, SSE_C_ALGORITHM
from gateway.s3.headers import Headers

MODES: Mapping[ModeName, Mode] = {
    mode.name: mode
    for mode in (
        NoEncryption(),
        SseS3(),
        Kms(ModeName.SSE_KMS, "aws:kms", takes_bucket_key=True),
        Kms(ModeName.DSSE_KMS, "aws:kms:dsse", takes_bucket_key=False),
        SseC(),
        ClientSide(),
    )
}

_MODE_BY_ALGORITHM: Mapping[str, ModeName] = {
    "AES256": ModeName.SSE_S3,
    "aws:kms": ModeName.SSE_KMS,
    "aws:kms:dsse": ModeName.DSSE_KMS,
}


def mode_shown_by(answered: Headers) -> ModeName:
    """The encryption that S3 states in the header fields of an answer; ``none`` when it states nothing."""
    if SSE_C_ALGORITHM in answered:
        return ModeName.SSE_C
    return _MODE_BY_ALGORITHM.get(answered.get(SSE, "") or "", ModeName.NONE)
