"""Every provider in turn, bare and with its guards around it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.keys.assembled import guarded
from gateway.keys.metering import KeyCall
from gateway.keys.provider import KeyProvider
from gateway.keys.rate_bucket import RateBucket
from lab.certificates import CertificateAuthority
from lab.fault_proxy import AWS_ANSWERS, VAULT_ANSWERS, FaultProxy
from lab.moto import MotoServer
from lab.openbao import OpenBao
from tests.keys.conformance.kms_subject import KmsSubject
from tests.keys.conformance.local_subject import LocalSubject
from tests.keys.conformance.subject import Key, Subject
from tests.keys.conformance.transit_subject import DerivedTransitSubject, TransitSubject

REMOTE_SUBJECTS = ("aws-kms", "vault-transit", "vault-transit-derived")
SUBJECTS = ("local", *REMOTE_SUBJECTS)


@pytest.fixture(scope="session")
def vault_proxy(openbao: OpenBao, authority: CertificateAuthority) -> Iterator[FaultProxy]:
    proxy = FaultProxy(openbao.address, VAULT_ANSWERS, authority, service_ca=openbao.ca_file)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def moto(lab_directory: Path) -> Iterator[MotoServer]:
    server = MotoServer(lab_directory / "moto-conformance")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def aws_proxy(moto: MotoServer, authority: CertificateAuthority) -> Iterator[FaultProxy]:
    proxy = FaultProxy(moto.endpoint, AWS_ANSWERS, authority)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def aws_kms_subject(moto: MotoServer, aws_proxy: FaultProxy) -> Subject:
    return KmsSubject(moto, aws_proxy)


@pytest.fixture(scope="session")
def local_subject() -> Subject:
    return LocalSubject()


@pytest.fixture(scope="session")
def vault_transit_subject(openbao: OpenBao, vault_proxy: FaultProxy) -> Subject:
    return TransitSubject(openbao, vault_proxy)


@pytest.fixture(scope="session")
def vault_transit_derived_subject(openbao: OpenBao, vault_proxy: FaultProxy) -> Subject:
    return DerivedTransitSubject(openbao, vault_proxy)


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.slow] if name == "vault-transit" else []) for name in SUBJECTS]
)
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each kind of provider in turn."""
    return subject_of(request)


def subject_of(request: pytest.FixtureRequest) -> Subject:
    """The subject with the name in the fixture's parameter."""
    found: Subject = request.getfixturevalue(f"{request.param.replace('-', '_')}_subject")
    return found


Open = Callable[..., Awaitable[KeyProvider]]


@pytest.fixture
async def bare(subject: Subject) -> AsyncIterator[Open]:
    """Opens bare providers: ``await bare(Key.MAIN, context="...", timeout_seconds=...)``."""
    providers: list[KeyProvider] = []

    async def make(key: Key = Key.MAIN, *, context: str = "", timeout_seconds: float = 20.0) -> KeyProvider:
        provider = await subject.open(key, context=context, timeout_seconds=timeout_seconds)
        providers.append(provider)
        return provider

    yield make
    for provider in providers:
        await provider.aclose()
    await subject.close()
    await settled()


async def settled() -> None:
    """asyncio closes TLS connections some rounds later, when the other side has closed its end."""
    loop = asyncio.get_running_loop()
    for _ in range(400):
        if all(transport._sock is None for transport in list(getattr(loop, "_transports", {}).values())):
            return
        await asyncio.sleep(0.005)


class Silent:
    """Counts nothing."""

    def key_call(self, call: KeyCall) -> None:
        """Do nothing."""

    def key_quota_refused(self, provider: str, scope: str, kind: str) -> None:
        """Do nothing."""

    def key_breaker(self, key: str, *, is_open: bool) -> None:
        """Do nothing."""


@pytest.fixture
def with_guards(bare: Open) -> Open:
    """Opens guarded providers, with a quota that nothing here uses up."""

    async def make(key: Key = Key.MAIN, *, context: str = "", timeout_seconds: float = 20.0) -> KeyProvider:
        provider = await bare(key, context=context, timeout_seconds=timeout_seconds)
        return guarded(provider, "conformance", Silent(), RateBucket(100_000))

    return make


@pytest.fixture(params=["bare", "guarded"])
def opened(request: pytest.FixtureRequest, bare: Open, with_guards: Open) -> Open:
    """Opens bare providers, and in the next test guarded ones."""
    return bare if request.param == "bare" else with_guards
