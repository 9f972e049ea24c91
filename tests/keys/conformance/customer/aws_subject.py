"""Provider ``aws-secretsmanager`` as the suite tests it: moto, behind a proxy that counts and breaks things."""

import asyncio
import json
from typing import Any, ClassVar

from gateway.keys.aws_access import AwsAccess, AwsCaller
from gateway.keys.aws_secrets_manager import AwsSecret
from gateway.keys.customer_keys import CustomerKeySettings, CustomerKeySource
from gateway.redact import SecretStr
from lab.fault_proxy import FaultProxy
from lab.moto import ACCESS_KEY_ID, SECRET_ACCESS_KEY, MotoServer
from tests.keys.conformance.customer.secret_subject import SecretSubject

_REGION = "eu-central-1"


class AwsSubject(SecretSubject):
    """Secrets that are the key."""

    kind: ClassVar[str] = "aws-secretsmanager"
    field: ClassVar[str | None] = None

    def __init__(self, moto: MotoServer, proxy: FaultProxy) -> None:
        super().__init__(proxy)
        self._service = moto.client("secretsmanager", _REGION)
        self._callers: dict[float, AwsCaller] = {}
        self._written: set[str] = set()
        self.secrets = [SECRET_ACCESS_KEY]

    async def open(self, name: str, *, timeout_seconds: float = 20.0, **settings: Any) -> CustomerKeySource:
        if timeout_seconds not in self._callers:
            self._callers[timeout_seconds] = self._caller(timeout_seconds)
        return CustomerKeySource(
            AwsSecret(self._callers[timeout_seconds], "main", name, self.field), CustomerKeySettings(**settings)
        )

    async def close(self) -> None:
        """Nothing: callers have threads, belong to no event loop, and take long to make."""

    def stop(self) -> None:
        """End the threads."""
        for caller in self._callers.values():
            asyncio.run(caller.aclose())

    def put(self, name: str, text: str) -> None:
        if self.field is not None:
            text = json.dumps({"note": "not a key", self.field: text})
        if name in self._written:
            self._service.put_secret_value(SecretId=name, SecretString=text)
        else:
            self._service.create_secret(Name=name, SecretString=text)
            self._written.add(name)

    def delete(self, name: str) -> None:
        self._service.delete_secret(SecretId=name)

    def deny(self, name: str) -> None:
        # moto believes everybody.
        self._refuse(name, "AccessDeniedException")

    def missing(self) -> str:
        # moto fails where AWS says that there is no such secret.
        name = self.new_name()
        self._refuse(name, "ResourceNotFoundException")
        return name

    def calls(self) -> int:
        return sum(call.target.startswith("secretsmanager.") for call in list(self.proxy.calls))

    def _caller(self, timeout_seconds: float) -> AwsCaller:
        access = AwsAccess(
            region=_REGION,
            endpoint_url=self.proxy.address,
            ca_bundle=self.proxy.ca_file,
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SecretStr(SECRET_ACCESS_KEY),
            timeout_seconds=timeout_seconds,
        )
        return AwsCaller(access, "secretsmanager")

    def _refuse(self, name: str, kind: str) -> None:
        self.proxy.instead[name.encode()] = 400, json.dumps({"__type": kind, "message": "refused"}).encode()


class AwsJsonSubject(AwsSubject):
    """Secrets that are JSON with the key in one field."""

    field: ClassVar[str | None] = "key"
