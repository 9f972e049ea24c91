"""What a process learns about the server's own copies, and what it keeps of one request."""

import pytest

from gateway.policy.default_encryption import EncryptionSource
from gateway.policy.rules import ModeName
from gateway.s3.operation import Operation
from gateway.server.copy_knowledge import CopyKnowledge
from gateway.server.exchange import Exchange


def test_a_server_that_copied_without_proof_is_not_asked_again_for_that_encryption() -> None:
    copies = CopyKnowledge(always_stream=False)
    copies.note_unproven(Operation.COPY_OBJECT, ModeName.SSE_C)
    asked = {
        (operation, mode): copies.by_server(operation, mode)
        for operation in (Operation.COPY_OBJECT, Operation.UPLOAD_PART_COPY)
        for mode in ModeName
    }
    assert [pair for pair, by_server in asked.items() if not by_server] == [(Operation.COPY_OBJECT, ModeName.SSE_C)]


@pytest.mark.parametrize("mode", list(ModeName))
def test_a_server_may_never_be_asked(mode: ModeName) -> None:
    assert not CopyKnowledge(always_stream=True).by_server(Operation.COPY_OBJECT, mode)


def test_a_success_that_ends_as_an_error_is_recorded_as_an_error() -> None:
    exchange = Exchange("0123456789ABCDEF", "127.0.0.1", "POST")
    exchange.note_status(200)
    assert (exchange.status, exchange.failed_after_headers) == (200, False)
    exchange.note_late_failure("InternalError")
    exchange.note_status(200)
    assert (exchange.status, exchange.error_code) == (500, "InternalError")


def test_a_new_record_claims_no_encryption() -> None:
    exchange = Exchange("0123456789ABCDEF", "127.0.0.1", "GET")
    assert (exchange.mode, exchange.source) == (ModeName.NONE, EncryptionSource.NONE)
    assert exchange.seconds() >= 0
