"""Whether a failed attempt is repeated, and after how long.

A repetition must be harmless: the body has to be there once more, and an operation that is not safe to run twice is
repeated only if the server can not have seen the first attempt. Source: RFC 9110, section 9.2.2.
"""

from enum import StrEnum

from gateway.s3.operation import Operation
from gateway.upstream.body import StreamedBody
from gateway.upstream.request import UpstreamRequest

#: Answers that ask for a repetition or come from a passing fault. 501 and other 5xx do not pass.
RETRIABLE_STATUSES = frozenset({500, 502, 503, 504})

#: Upper bound of the first pause, doubled for each further one, in seconds.
BASE_PAUSE_SECONDS = 0.1
#: Upper bound of any pause, in seconds.
MAX_PAUSE_SECONDS = 3.0

#: Conditions that an applied write changes: the repetition would be told 412 although the first attempt did the work.
_WRITE_CONDITIONS = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})


class Fault(StrEnum):
    """How an attempt failed."""

    #: No connection came about; the server saw nothing.
    NOT_SENT = "not-sent"
    #: The connection broke; the server may have done the work.
    DISCONNECTED = "disconnected"
    #: The server answered with one of :data:`RETRIABLE_STATUSES`; it may have done the work.
    ANSWER = "answer"
    #: Nothing that another attempt would change, such as a certificate that is not trusted. Time-outs belong here
    #: too: the client has waited long, and a slow server does not get faster by more requests.
    FINAL = "final"


def repeatable(request: UpstreamRequest, fault: Fault, *, body_touched: bool) -> bool:
    """Whether one more attempt is harmless and may help.

    Args:
        request: the request that failed.
        fault: how it failed.
        body_touched: whether a byte of the body was asked for.
    """
    if fault is Fault.FINAL or not replayable(request, body_touched=body_touched):
        return False
    return fault is Fault.NOT_SENT or safe_to_repeat(request)


def replayable(request: UpstreamRequest, *, body_touched: bool) -> bool:
    """Whether the body is there once more: only a streamed one that was touched is not."""
    return not (body_touched and isinstance(request.body, StreamedBody))


def safe_to_repeat(request: UpstreamRequest) -> bool:
    """Whether doing the request twice gives the same result and the same answer as doing it once."""
    operation: Operation = request.operation
    if not operation.info.write:
        return True
    return operation.info.idempotent and not (_WRITE_CONDITIONS & request.headers.names())


def pause_seconds(retry: int, chance: float) -> float:
    """The pause before a repetition, with full jitter.

    Source: "Exponential Backoff And Jitter" (AWS Architecture Blog), full jitter.

    Args:
        retry: 0 for the first repetition.
        chance: a random number from 0 to 1.
    """
    return chance * min(MAX_PAUSE_SECONDS, BASE_PAUSE_SECONDS * 2.0**retry)
