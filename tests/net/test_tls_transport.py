"""The TLS transport against a plain TLS peer, as the accepting and as the connecting end."""

import asyncio
import os
import socket
import ssl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.net.tls_transport import READ_BYTES, RECORD_BYTES
from tests.net.conftest import Connect, Made, descriptors, dial, listen, receive_all, until

_SIZES = [
    1,
    4095,
    4096,
    RECORD_BYTES - 1,
    RECORD_BYTES,
    RECORD_BYTES + 1,
    READ_BYTES - 1,
    READ_BYTES,
    READ_BYTES + 1,
    3_000_000,
]


@pytest.mark.parametrize("size", _SIZES)
async def test_what_is_sent_arrives_in_both_directions(connect: Connect, size: int) -> None:
    protocol, peer = await connect()
    data = os.urandom(size)
    protocol.transport.write(data)
    assert await peer.receive(size) == data
    await peer.send(data)
    await protocol.until(lambda: len(protocol.received) == size)
    assert protocol.received == data
    assert max(protocol.pieces) <= READ_BYTES


@given(
    pieces=st.lists(st.integers(0, 40_000) | st.sampled_from([RECORD_BYTES, READ_BYTES + 1]), min_size=1, max_size=12),
    together=st.booleans(),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_arrive_in_their_order(
    accepting: ssl.SSLContext, connecting: ssl.SSLContext, pieces: list[int], together: bool
) -> None:
    asyncio.run(_send_pieces(accepting, connecting, pieces, together=together))


async def _send_pieces(
    accepting: ssl.SSLContext, connecting: ssl.SSLContext, pieces: list[int], *, together: bool
) -> None:
    protocols = Made()
    listener, port = listen(accepting, protocols.make)
    with await asyncio.to_thread(dial, port, connecting) as connection:
        await until(lambda: bool(protocols))
        data = [bytes([index]) * size for index, size in enumerate(pieces)]
        if together:
            protocols[0].transport.writelines(data)
        else:
            for piece in data:
                protocols[0].transport.write(piece)
        protocols[0].transport.close()
        assert await asyncio.to_thread(receive_all, connection, sum(pieces) + 1) == b"".join(data)
    assert await protocols[0].lost is None
    listener.close()


async def test_a_peer_that_takes_nothing_stops_the_writer_and_loses_nothing(connect: Connect) -> None:
    protocol, peer = await connect()
    transport = protocol.transport
    transport.set_write_buffer_limits(high=100_000, low=10_000)
    data = os.urandom(1_000_000)
    written = 0
    while "pause" not in protocol.events:
        transport.write(data)
        written += 1
        await asyncio.sleep(0)
    assert 100_000 < transport.get_write_buffer_size() <= len(data)
    assert await peer.receive(written * len(data)) == data * written
    await protocol.until(lambda: "resume" in protocol.events)
    assert transport.get_write_buffer_size() == 0
    assert protocol.events == ["pause", "resume"]


async def test_what_is_changed_after_a_write_was_sent_before(connect: Connect) -> None:
    protocol, peer = await connect()
    changing = bytearray(8_000_000)
    protocol.transport.write(changing)
    assert protocol.transport.get_write_buffer_size() > 0
    changing[:] = b"x" * len(changing)
    assert await peer.receive(len(changing)) == bytes(len(changing))


async def test_nothing_is_told_while_reading_is_paused(connect: Connect) -> None:
    protocol, peer = await connect()
    protocol.transport.pause_reading()
    assert not protocol.transport.is_reading()
    await peer.send(b"x" * 50_000)
    await asyncio.sleep(0.05)
    assert not protocol.received
    protocol.transport.resume_reading()
    await protocol.until(lambda: len(protocol.received) == 50_000)


async def test_pausing_at_every_piece_loses_nothing(connect: Connect) -> None:
    protocol, peer = await connect()
    loop = asyncio.get_running_loop()

    def pause(_: bytes) -> None:
        protocol.transport.pause_reading()
        loop.call_soon(protocol.transport.resume_reading)

    protocol.on_data = pause
    data = os.urandom(2_000_000)
    await peer.send(data)
    await protocol.until(lambda: len(protocol.received) == len(data))
    assert protocol.received == data


async def test_close_sends_what_is_left_and_then_says_farewell(connect: Connect) -> None:
    protocol, peer = await connect()
    data = os.urandom(5_000_000)
    protocol.transport.write(data)
    protocol.transport.close()
    protocol.transport.write(b"never")
    assert protocol.transport.is_closing()
    assert await peer.receive(len(data) + 1) == data  # a ragged end would raise
    await peer.do(peer.connection.close)
    assert await protocol.lost is None


async def test_what_arrives_after_close_does_not_take_the_answer_away(connect: Connect) -> None:
    """Closing with unread bytes resets the connection, and the reset overtakes what the peer has not read yet."""
    protocol, peer = await connect()
    data = os.urandom(300_000)
    protocol.transport.write(data)
    protocol.transport.close()
    await peer.send(b"more and more" * 1000)
    await asyncio.sleep(0.1)
    assert await peer.receive(len(data) + 1) == data
    assert not protocol.received


async def test_a_peer_that_never_closes_is_not_waited_for_for_ever(connect: Connect) -> None:
    protocol, _ = await connect()
    protocol.transport.close()
    assert await asyncio.wait_for(protocol.lost, 3) is None


async def test_a_farewell_is_answered(connect: Connect) -> None:
    protocol, peer = await connect()
    await peer.send(b"the last words")
    await peer.farewell()
    assert await protocol.lost is None
    assert protocol.received == b"the last words"
    assert protocol.events == ["end"]


async def test_an_end_without_farewell_is_an_error(connect: Connect) -> None:
    """It may have been cut by somebody who can not forge TLS."""
    protocol, peer = await connect()
    await peer.send(b"cut off")
    await protocol.until(lambda: bool(protocol.received))
    socket.socket.shutdown(peer.connection, socket.SHUT_WR)
    assert isinstance(await protocol.lost, ConnectionResetError)
    assert protocol.events == []


async def test_forged_bytes_end_the_connection(connect: Connect) -> None:
    protocol, peer = await connect()
    await peer.do(lambda: socket.socket.send(peer.connection, b"\x17\x03\x03\x00\x20" + bytes(32)))
    assert isinstance(await protocol.lost, ssl.SSLError)
    assert not protocol.received


async def test_abort_ends_at_once(connect: Connect) -> None:
    protocol, peer = await connect()
    protocol.transport.write(b"x" * 8_000_000)
    protocol.transport.abort()
    protocol.transport.abort()
    assert await protocol.lost is None
    assert protocol.transport.get_write_buffer_size() == 0
    with pytest.raises(OSError):  # noqa: PT011 - OpenSSL's or the system's
        await peer.receive(8_000_000)


async def test_an_answer_is_read_before_the_connection_is_found_broken(connect: Connect) -> None:
    protocol, peer = await connect()
    protocol.transport.pause_reading()
    await peer.send(b"refused")
    await asyncio.sleep(0.05)
    peer.reset()
    await asyncio.sleep(0.05)
    protocol.transport.resume_reading()
    protocol.transport.write(b"x" * 100_000)  # before the loop looks at the socket
    assert isinstance(await protocol.lost, OSError)
    assert bytes(protocol.received) == b"refused"


async def test_a_fault_of_the_protocol_ends_its_connection_only(connect: Connect) -> None:
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    protocol, peer = await connect()

    def fail(_: bytes) -> None:
        raise ValueError("at fault")

    protocol.on_data = fail
    await peer.send(b"x")
    assert isinstance(await protocol.lost, ValueError)
    assert told == ["a protocol failed"]


async def test_everything_is_given_back(connect: Connect) -> None:
    before = len(descriptors())
    for _ in range(5):
        protocol, peer = await connect()
        protocol.transport.abort()
        await protocol.lost
        peer.close()
    assert len(descriptors()) - before <= 6  # the listeners of the accepting end are closed later


async def test_the_connection_is_described(connect: Connect) -> None:
    protocol, peer = await connect()
    transport = protocol.transport
    assert transport.get_extra_info("peername") == peer.connection.getsockname()
    assert transport.get_extra_info("sockname") == peer.connection.getpeername()
    tls = transport.get_extra_info("ssl_object")
    assert isinstance(tls, ssl.SSLSocket)
    assert tls.version() == "TLSv1.3"
    assert transport.get_extra_info("socket") is tls
    assert isinstance(transport.get_extra_info("sslcontext"), ssl.SSLContext)
    assert transport.get_extra_info("unheard-of", "default") == "default"
    assert not transport.can_write_eof()
    transport.set_write_buffer_limits(low=10)
    assert transport.get_write_buffer_limits() == (10, 40)
    with pytest.raises(ValueError, match="at least"):
        transport.set_write_buffer_limits(high=1, low=2)


@pytest.mark.parametrize("sent", [b"", b"the beginning of a request"])
async def test_a_reset_is_noticed(connect: Connect, sent: bytes) -> None:
    """A peer that closes with something unread, such as the session tickets of TLS, resets the connection."""
    protocol, peer = await connect()
    if sent:
        await peer.send(sent)
        await protocol.until(lambda: bytes(protocol.received) == sent)
    peer.reset()
    assert isinstance(await asyncio.wait_for(protocol.lost, 5), OSError)


async def test_a_reset_is_noticed_by_who_only_writes(connect: Connect) -> None:
    protocol, peer = await connect()
    protocol.transport.pause_reading()
    protocol.transport.write(b"x" * 8_000_000)
    peer.reset()
    assert isinstance(await asyncio.wait_for(protocol.lost, 5), OSError)
