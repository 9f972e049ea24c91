"""Provider ``aws-kms`` as the suite tests it: moto's server, behind a proxy that counts and breaks things."""

import json
from contextlib import AbstractContextManager
from typing import ClassVar

from gateway.keys.aws_access import AwsAccess, AwsCaller
from gateway.keys.aws_kms import AwsKmsProvider
from gateway.keys.provider import KeyProvider
from gateway.redact import SecretStr
from lab.fault_proxy import Fault, FaultProxy
from lab.moto import ACCESS_KEY_ID, SECRET_ACCESS_KEY, MotoServer
from tests.keys.conformance.subject import Key, Refusals, Subject

_REGION = "eu-central-1"


class KmsSubject(Subject):
    """Keys of AWS KMS."""

    contexts: ClassVar[bool] = True
    kind: ClassVar[str] = "aws-kms"
    scope: ClassVar[str] = _REGION
    # A key that waits for its deletion is in a state in which it can not be used; it is gone days later.
    refusals: ClassVar[Refusals] = Refusals(deleted="KMS.KMSInvalidStateException")

    def __init__(self, moto: MotoServer, proxy: FaultProxy) -> None:
        super().__init__()
        self._proxy = proxy
        self._callers: list[AwsCaller] = []
        self._arns = {key: moto.create_key(_REGION) for key in Key}
        self._arns[Key.MISSING] = f"arn:aws:kms:{_REGION}:123456789012:key/00000000-1111-2222-3333-444444444444"
        self.secrets = [SECRET_ACCESS_KEY]

    async def open(self, key: Key = Key.MAIN, *, context: str = "", timeout_seconds: float = 20.0) -> KeyProvider:
        access = AwsAccess(
            region=_REGION,
            endpoint_url=self._proxy.address,
            ca_bundle=self._proxy.ca_file,
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SecretStr(SECRET_ACCESS_KEY),
            timeout_seconds=timeout_seconds,
        )
        caller = AwsCaller(access, "kms")
        self._callers.append(caller)
        return AwsKmsProvider(caller, self._arns[key], encryption_context={"purpose": context or "conformance"})

    def rotate(self) -> None:
        """KMS does so by itself, and shows nothing of it."""

    def disable(self) -> None:
        # moto goes on using such keys, KMS does not: "Key states of AWS KMS keys" in its Developer Guide.
        self._proxy.instead |= {
            self._arns[Key.DISABLED].encode(): _refusal("DisabledException", "is disabled"),
            self._arns[Key.DELETED].encode(): _refusal("KMSInvalidStateException", "is pending deletion"),
        }

    async def close(self) -> None:
        while self._callers:
            await self._callers.pop().aclose()

    def during(self, fault: Fault) -> AbstractContextManager[None]:
        return self._proxy.during(fault)

    def calls(self) -> int:
        return self._proxy.count()


def _refusal(kind: str, words: str) -> tuple[int, bytes]:
    return 400, json.dumps({"__type": kind, "message": f"the key {words}"}).encode()
