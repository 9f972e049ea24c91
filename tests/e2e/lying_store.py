"""An upstream server of the tests' own that answers whatever it is told to: what no honest server does.

It runs in a thread, with TLS, and remembers every request.
"""

import asyncio
import os
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from lab.certificates import CertificateAuthority
from lab.s3_server import Credentials, S3Server, Traits

Answer = Callable[["Seen"], web.Response | None]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that arrived."""

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class LyingStore(S3Server):
    """The server.

    Attributes:
        answer: gives the answer; None means an empty 200.
        seen: what arrived so far.
    """

    name = "lying"
    traits = Traits(
        trailing_checksums=False,
        sse_s3=False,
        dsse_kms=False,
        copies_encrypted=False,
        copy_encrypts=False,
        bucket_encryption=False,
    )

    def __init__(self, authority: CertificateAuthority) -> None:
        self.ca_file = authority.ca_file
        self.credentials = Credentials("LYINGSTORE0000000001")
        self.other_credentials = Credentials("LYINGSTORE0000000002")
        self.kms_key_id = ""
        self.answer: Answer = lambda _: None
        self.seen: list[Seen] = []
        files = authority.issue_server("lying-store")
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(files.certificate, files.key)
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    @property
    def pid(self) -> int:
        return os.getpid()

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(30)
        self._loop.close()

    def kill(self) -> None:
        self.stop()

    async def _run(self) -> None:
        runner = web.ServerRunner(web.Server(self._serve))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.endpoint = f"https://localhost:{runner.addresses[0][1]}"
        self._started.set()
        await self._stopping.wait()
        await runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.method, request.path_qs, headers, await request.read())
        self.seen.append(seen)
        return self.answer(seen) or web.Response(headers={"ETag": '"0"'})
