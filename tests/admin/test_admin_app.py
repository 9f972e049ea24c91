"""The admin listener: what each path says, and that nothing of S3 is there."""

from aiohttp.web import Application
from prometheus_client import CollectorRegistry
from pytest_aiohttp import AiohttpClient

from gateway.admin.app import admin_app
from gateway.admin.readiness import Readiness
from gateway.observe.metrics import CONTENT_TYPE, Metrics, exposition


class Process:
    """A process that is ready or not."""

    def __init__(self) -> None:
        self.readiness = Readiness(ready=True, checks={"vault": "ok"})

    async def ask(self) -> Readiness:
        return self.readiness

    def app(self) -> Application:
        registry = CollectorRegistry()
        Metrics(registry)
        return admin_app(self.ask, exposition(registry))


async def test_livez(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(Process().app())
    answer = await client.get("/livez")
    assert (answer.status, await answer.json()) == (200, {"status": "alive"})


async def test_readyz(aiohttp_client: AiohttpClient) -> None:
    process = Process()
    client = await aiohttp_client(process.app())
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (200, {"status": "ready", "checks": {"vault": "ok"}})
    process.readiness = Readiness(ready=False, checks={"vault": "sealed"})
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (503, {"status": "not ready", "checks": {"vault": "sealed"}})
    assert answer.headers["Cache-Control"] == "no-store"


async def test_metrics(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(Process().app())
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    assert 'sealgate_plaintext_http_refused_total{reason="sse_c_key"} 0.0' in await answer.text()


async def test_nothing_else(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(Process().app())
    for method, path in (("GET", "/"), ("GET", "/bucket/key"), ("PUT", "/metrics"), ("POST", "/livez")):
        assert (await client.request(method, path)).status in {404, 405}
