"""Every service of customer keys in turn, and sources of its keys that are closed after the test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from gateway.keys import aws_secrets_manager, customer_keys
from gateway.keys.customer_keys import CustomerKeySource
from lab.fault_proxy import FaultProxy
from lab.moto import MotoServer
from lab.openbao import OpenBao
from tests.keys.conformance.conftest import settled
from tests.keys.conformance.customer.aws_subject import AwsJsonSubject, AwsSubject
from tests.keys.conformance.customer.kv_subject import KvSubject
from tests.keys.conformance.customer.secret_subject import SecretSubject

#: How long a fault that passes by itself is remembered here.
OUTAGE_SECONDS = 0.1

Open = Callable[..., Awaitable[CustomerKeySource]]


@pytest.fixture(scope="session")
def vault_kv_secrets(openbao: OpenBao, vault_proxy: FaultProxy) -> SecretSubject:
    return KvSubject(openbao, vault_proxy)


@pytest.fixture(scope="session")
def aws_secretsmanager_secrets(moto: MotoServer, aws_proxy: FaultProxy) -> Iterator[SecretSubject]:
    subject = AwsSubject(moto, aws_proxy)
    yield subject
    subject.stop()


@pytest.fixture(scope="session")
def aws_secretsmanager_json_secrets(moto: MotoServer, aws_proxy: FaultProxy) -> Iterator[SecretSubject]:
    subject = AwsJsonSubject(moto, aws_proxy)
    yield subject
    subject.stop()


@pytest.fixture(
    params=["vault-kv", "aws-secretsmanager", pytest.param("aws-secretsmanager-json", marks=pytest.mark.slow)]
)
def service(request: pytest.FixtureRequest) -> SecretSubject:
    """Each kind of service in turn."""
    return service_of(request)


def service_of(request: pytest.FixtureRequest) -> SecretSubject:
    """The service with the name in the fixture's parameter."""
    found: SecretSubject = request.getfixturevalue(f"{request.param.replace('-', '_')}_secrets")
    return found


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customer_keys, "OUTAGE_SECONDS", OUTAGE_SECONDS)
    monkeypatch.setattr(customer_keys, "FRESH_SECONDS", 0.2)
    monkeypatch.setattr(aws_secrets_manager, "UNKNOWN_NUMBER_SECONDS", 0.2)


@pytest.fixture
def name(service: SecretSubject) -> str:
    """A secret of the test's own, without any version."""
    return service.new_name()


@pytest.fixture
async def opened(service: SecretSubject) -> AsyncIterator[Open]:
    """Opens sources: ``await opened(name, refresh_seconds=...)``."""
    sources: list[CustomerKeySource] = []

    async def make(name: str, **options: Any) -> CustomerKeySource:
        source = await service.open(name, **options)
        sources.append(source)
        return source

    yield make
    for source in sources:
        await source.aclose()
    await service.close()
    await settled()
