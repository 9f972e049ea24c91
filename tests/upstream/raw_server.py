"""An HTTP server that does exactly what a test says, byte by byte, and remembers what it was sent."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.s3.headers import Headers

Behave = Callable[["Turn"], Awaitable[None]]


@dataclass
class Seen:
    """One request as it arrived."""

    connection: int
    method: str
    target: str
    headers: Headers
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False


@dataclass
class Turn:
    """One request and the connection it came on."""

    server: "RawServer"
    number: int
    seen: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_body(self, limit: int | None = None) -> bytearray:
        """Read the body that Content-Length announces, or ``limit`` bytes of it, or until the client goes away."""
        wanted = int(self.seen.headers.get("content-length", "0") or "0")
        wanted = wanted if limit is None else min(limit, wanted)
        while len(self.seen.body) < wanted:
            data = await self.reader.read(min(65536, wanted - len(self.seen.body)))
            if not data:
                self.seen.ended = True
                break
            self.seen.body += data
        return self.seen.body

    async def read_until_end(self) -> None:
        """Read whatever comes until the client closes the connection."""
        while data := await self.reader.read(65536):
            self.seen.body += data
        self.seen.ended = True

    async def answer(self, status: int = 200, body: bytes = b"", **fields: str) -> None:
        """Send a whole answer; underscores in field names stand for hyphens."""
        head = [f"HTTP/1.1 {status} X"]
        head += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        if "content_length" not in fields and status not in {204, 304}:
            head.append(f"content-length: {len(body)}")
        await self.send(("\r\n".join(head) + "\r\n\r\n").encode() + (b"" if self.seen.method == "HEAD" else body))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.close()


@dataclass
class RawServer:
    """Listens on loopback; ``behave`` is called for each request in turn."""

    behave: Behave
    tls: ssl.SSLContext | None = None
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._open):
            writer.close()
        await self._server.wait_closed()
        for _ in range(3):
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        self._open.add(writer)
        try:
            while (seen := await _read_head(reader, connection)) is not None:
                self.seen.append(seen)
                await self.behave(Turn(self, len(self.seen), seen, reader, writer))
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()


async def _read_head(reader: asyncio.StreamReader, connection: int) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("utf-8", "surrogateescape")[:-4].split("\r\n")
    method, target, _ = first.split(" ")
    fields = [line.partition(": ")[::2] for line in lines]
    return Seen(connection, method, target, Headers(fields))
