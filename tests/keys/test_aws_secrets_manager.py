"""Customer keys in AWS Secrets Manager as moto has it; and from services that answer what it would not."""

import asyncio
import base64
import hashlib
import itertools
import json
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys import aws_secrets_manager
from gateway.keys.aws_access import AwsAccess, AwsCaller
from gateway.keys.aws_secrets_manager import MAX_NUMBER, AwsSecret, version_number
from gateway.keys.customer_keys import CustomerKeySettings, CustomerKeySource, Derivation
from gateway.redact import SecretStr
from lab.moto import ACCESS_KEY_ID, SECRET_ACCESS_KEY, MotoServer

REGION = "eu-central-1"


def caller_of(endpoint: str) -> AwsCaller:
    return AwsCaller(
        AwsAccess(
            region=REGION,
            endpoint_url=endpoint,
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SecretStr(SECRET_ACCESS_KEY),
            timeout_seconds=5.0,
            allow_plain_http=True,
        ),
        "secretsmanager",
    )


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    server = MotoServer(tmp_path_factory.mktemp("moto"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def service(moto: MotoServer) -> Any:
    """boto3, for whoever writes secrets."""
    return moto.client("secretsmanager", REGION)


@pytest.fixture(scope="module")
def shared(moto: MotoServer) -> Iterator[AwsCaller]:
    made = caller_of(moto.endpoint)
    yield made
    asyncio.run(made.aclose())


def text_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


async def fault_of(work: Awaitable[object]) -> KeyUnavailable:
    with pytest.raises(KeyUnavailable) as caught:
        await work
    return caught.value


async def newest_of(secret: AwsSecret) -> bytes:
    """The key that encrypts."""
    return bytes((await secret.key((await secret.live_versions())[0])).key.reveal())


# ----------------------------------------------------------------------------------------------- forms of a secret


@pytest.mark.parametrize("end", ["", "\n"])
async def test_a_text(service: Any, shared: AwsCaller, end: str) -> None:
    raw, name = secrets.token_bytes(32), f"text-{len(end)}"
    service.create_secret(Name=name, SecretString=text_of(raw) + end)
    assert await newest_of(AwsSecret(shared, "k", name)) == raw


async def test_bytes(service: Any, shared: AwsCaller) -> None:
    raw = secrets.token_bytes(32)
    arn = service.create_secret(Name="team/bytes", SecretBinary=raw)["ARN"]
    assert await newest_of(AwsSecret(shared, "k", "team/bytes")) == raw
    assert await newest_of(AwsSecret(shared, "k", arn)) == raw
    fault = await fault_of(newest_of(AwsSecret(shared, "k", "team/bytes", "key")))
    assert (fault.code, "it has no field 'key'" in str(fault)) == ("InvalidArgument", True)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (bytes(range(31)), "31 bytes instead of 32"),
        (bytes(32), "not random"),
        (text_of(bytes(range(32))).encode(), "44 bytes instead of 32"),
    ],
)
async def test_bytes_that_are_no_key(service: Any, shared: AwsCaller, raw: bytes, why: str) -> None:
    name = f"no-key-{secrets.token_hex(4)}"
    service.create_secret(Name=name, SecretBinary=raw)
    fault = await fault_of(newest_of(AwsSecret(shared, "k", name)))
    assert fault.code == "InvalidArgument"
    assert f"AWS Secrets Manager in {REGION}: {name} version" in str(fault)
    assert why in str(fault)


KEY = secrets.token_bytes(32)
SECRET = "zqjX-never-shown"
JSON_CASES: dict[str, tuple[str, str]] = {
    "no JSON": (SECRET, "InvalidArgument"),
    "half": ('{"key": "' + SECRET, "InvalidArgument"),
    "a list": (json.dumps([SECRET]), "InvalidArgument"),
    "twice": (f'{{"key": "{SECRET}", "key": "{text_of(KEY)}"}}', "InvalidArgument"),
    "deep": ('{"key": ' + "[" * 60_000, "InvalidArgument"),
    "huge number": ('{"key": ' + "7" * 60_000 + "}", "InvalidArgument"),
    "another field": (json.dumps({"other": SECRET}), "KMS.NotFoundException"),
    "nested": (json.dumps({"outer": {"key": SECRET}}), "KMS.NotFoundException"),
    "empty": (json.dumps({"key": "", "note": SECRET}), "InvalidArgument"),
    "a number": (json.dumps({"key": 7, "note": SECRET}), "InvalidArgument"),
    "null": (json.dumps({"key": None, "note": SECRET}), "InvalidArgument"),
    "no key": (json.dumps({"key": SECRET}), "InvalidArgument"),
}


@pytest.mark.parametrize("case", JSON_CASES)
async def test_json_without_a_usable_field(service: Any, shared: AwsCaller, case: str) -> None:
    text, code = JSON_CASES[case]
    name = f"json-{case.replace(' ', '-')}"
    service.create_secret(Name=name, SecretString=text)
    fault = await fault_of(newest_of(AwsSecret(shared, "k", name, "key")))
    assert fault.code == code
    assert name in str(fault)
    shown = str(fault) + repr(vars(fault)) + repr(fault.__context__) + repr(fault.__cause__)
    assert SECRET not in shown
    assert len(shown) < 500


async def test_json_where_a_key_is_expected_says_what_to_do(service: Any, shared: AwsCaller) -> None:
    service.create_secret(Name="json", SecretString=json.dumps({"key": text_of(KEY)}))
    assert await newest_of(AwsSecret(shared, "k", "json", "key")) == KEY
    fault = await fault_of(newest_of(AwsSecret(shared, "k", "json")))
    assert fault.code == "InvalidArgument"
    assert "it is JSON; the option field says" in str(fault)


# --------------------------------------------------------------------------------------------------------- versions


def test_numbers_never_change() -> None:
    """Uploads that are under way carry them. Computed once by hand from the rule in the module's text."""
    version_id = "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111"
    digest = hashlib.sha256(version_id.encode()).hexdigest()
    assert version_number(version_id) == 1 + int(digest[:16], 16) % 999_999_999 == 665_612_802
    numbers = [version_number(f"version-{count}") for count in range(20_000)]
    assert 1 <= min(numbers) < 10**6
    assert 10**9 - 10**6 < max(numbers) <= MAX_NUMBER


async def test_going_back_to_an_older_version(service: Any, shared: AwsCaller) -> None:
    """Whoever moves AWSCURRENT decides what encrypts, whatever is newer."""
    first, second = secrets.token_bytes(32), secrets.token_bytes(32)
    old = service.create_secret(Name="back", SecretString=text_of(first))["VersionId"]
    new = service.put_secret_value(SecretId="back", SecretString=text_of(second))["VersionId"]
    secret = AwsSecret(shared, "k", "back")
    assert await newest_of(secret) == second
    service.update_secret_version_stage(
        SecretId="back", VersionStage="AWSCURRENT", MoveToVersionId=old, RemoveFromVersionId=new
    )
    assert await newest_of(secret) == first
    assert (await secret.key((await secret.live_versions())[1])).key.reveal() == second


async def test_a_version_that_waits_to_become_current_does_not_encrypt_yet(service: Any, shared: AwsCaller) -> None:
    """A rotation makes it with the label AWSPENDING first; reads may use it, as another gateway may be ahead."""
    current, pending = secrets.token_bytes(32), secrets.token_bytes(32)
    service.create_secret(Name="pending", SecretString=text_of(current))
    service.put_secret_value(SecretId="pending", SecretString=text_of(pending), VersionStages=["AWSPENDING"])
    source = CustomerKeySource(AwsSecret(shared, "k", "pending"), CustomerKeySettings())
    assert [key.key.reveal() for key in await source.versions()] == [current, pending]
    await source.aclose()


def colliding_ids() -> tuple[str, str]:
    """Two version ids with the same number; found after some ten thousand."""
    seen: dict[int, str] = {}
    for count in itertools.count():
        version_id = f"collision-of-version-ids-{count:012}"
        other = seen.setdefault(version_number(version_id), version_id)
        if other != version_id:
            return other, version_id
    raise AssertionError


async def test_two_versions_with_the_same_number_are_refused(service: Any, shared: AwsCaller) -> None:
    one, two = colliding_ids()
    texts = [text_of(secrets.token_bytes(32)) for _ in range(3)]
    service.create_secret(Name="collision", SecretString=texts[0], ClientRequestToken=one)
    secret = AwsSecret(shared, "k", "collision")
    number = (await secret.live_versions())[0]
    service.put_secret_value(SecretId="collision", SecretString=texts[1], ClientRequestToken=two)
    fault = await fault_of(secret.live_versions())
    assert (fault.code, fault.permanent) == ("KMS.KMSInvalidStateException", True)
    assert f"the same number, {number}" in str(fault)


async def test_the_fingerprint_never_changes(shared: AwsCaller) -> None:
    """Uploads that are under way carry it."""

    def fingerprint(*names: str | None, **settings: Any) -> str:
        return CustomerKeySource(AwsSecret(shared, *names), CustomerKeySettings(**settings)).fingerprint  # type: ignore[arg-type]  # a table

    assert fingerprint("payroll", "team/key") == fingerprint("payroll", "team/key", hold_seconds=60.0) == "62780372"
    different = {
        fingerprint("payroll", "team/key"),
        fingerprint("payroll", "team/key", "key"),
        fingerprint("payroll", "team/key", "other"),
        fingerprint("payroll", "team/other"),
        fingerprint("pensions", "team/key"),
        fingerprint("payroll", "team/key", derivation=Derivation.HKDF_SHA256),
    }
    assert len(different) == 6


@pytest.mark.parametrize(
    ("secret_id", "field"), [("", None), ("a b", None), ("a" * 2049, None), ("ä", None), ("a", "")]
)
async def test_what_names_no_secret(shared: AwsCaller, secret_id: str, field: str | None) -> None:
    with pytest.raises(ConfigError):
        AwsSecret(shared, "k", secret_id, field)


# ------------------------------------------------------------------------------- services that answer something else

Reply = Callable[[str, dict[str, Any]], object]
Ask = Callable[..., AwsSecret]


class Scripted(BaseHTTPRequestHandler):
    """A service that is one function of the operation and its parameters."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    reply: ClassVar[Reply]

    def do_POST(self) -> None:
        parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        body = json.dumps(type(self).reply(operation, parameters)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing is printed."""


@pytest.fixture(scope="module")
def scripted() -> Iterator[AwsCaller]:
    """What asks the scripted service."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    caller = caller_of(f"http://127.0.0.1:{server.server_address[1]}")
    yield caller
    asyncio.run(caller.aclose())
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def asked(scripted: AwsCaller, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Makes a secret whose service is this function."""

    def make(reply: Reply, field: str | None = None) -> AwsSecret:
        monkeypatch.setattr(Scripted, "reply", staticmethod(reply), raising=False)
        return AwsSecret(scripted, "k", "scripted", field)

    return make


#: Version ids are at least this long.
_ID = "version-id-of-32-characters-{:0>4}"


def listed(version_id: str, created: float = 0.0, *stages: str) -> dict[str, object]:
    return {"VersionId": _ID.format(version_id), "VersionStages": list(stages), "CreatedDate": created}


async def test_long_lists_come_in_pages(asked: Ask) -> None:
    """Everything is asked for, deprecated versions too; the order is by age, wherever a version is listed."""
    sent: list[dict[str, Any]] = []
    versions = [listed(f"{count}", 1000.0 - count) for count in range(250)]
    versions[120] = listed("120", 880.0, "AWSCURRENT", "blue")
    pages = {"": (versions[:100], "one"), "one": (versions[100:200], "two"), "two": (versions[200:], None)}

    def reply(operation: str, parameters: dict[str, Any]) -> object:
        sent.append(parameters)
        found, token = pages[parameters.get("NextToken", "")]
        return {"Versions": found, **({"NextToken": token} if token else {})}

    secret = asked(reply)
    expected = ["120", *(f"{count}" for count in range(250) if count != 120)]
    assert await secret.live_versions() == tuple(version_number(_ID.format(count)) for count in expected)
    common = {"SecretId": "scripted", "IncludeDeprecated": True, "MaxResults": 100}
    assert sent == [common, {**common, "NextToken": "one"}, {**common, "NextToken": "two"}]


async def test_a_list_that_never_ends(asked: Ask) -> None:
    calls = itertools.count()
    secret = asked(lambda *_: {"Versions": [], "NextToken": str(next(calls))})
    fault = await fault_of(secret.live_versions())
    assert (fault.code, next(calls)) == ("ServiceUnavailable", aws_secrets_manager.MAX_PAGES)


CURRENT = listed("a", 1.0, "AWSCURRENT")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({}, "ServiceUnavailable"),
        ({"Versions": None}, "ServiceUnavailable"),
        ({"Versions": 7}, "ServiceUnavailable"),
        ({"Versions": ["a"]}, "ServiceUnavailable"),
        ({"Versions": [{}]}, "ServiceUnavailable"),
        ({"Versions": [{**CURRENT, "VersionId": 7}]}, "ServiceUnavailable"),
        ({"Versions": [{**CURRENT, "VersionId": ""}]}, "ServiceUnavailable"),
        ({"Versions": [{**CURRENT, "VersionId": "a" * 65}]}, "ServiceUnavailable"),
        ({"Versions": [{**CURRENT, "VersionId": "a" * 31}]}, "ServiceUnavailable"),
        ({"Versions": [{**CURRENT, "VersionId": _ID + "\n"}]}, "ServiceUnavailable"),
        ({"Versions": [{**CURRENT, "CreatedDate": "yesterday"}]}, "ServiceUnavailable"),
        ({"Versions": [{"VersionId": _ID, "VersionStages": ["AWSCURRENT"]}]}, "ServiceUnavailable"),
        ({"Versions": [{**CURRENT, "VersionStages": 7}]}, "ServiceUnavailable"),
        ({"Versions": [CURRENT, listed("b", 2.0, "AWSCURRENT")]}, "ServiceUnavailable"),
        ({"Versions": [listed(f"{count}") for count in range(101)]}, "ServiceUnavailable"),
        ({"Versions": [CURRENT], "NextToken": "x" * 5000}, "ServiceUnavailable"),
        ({"Versions": []}, "KMS.NotFoundException"),
        ({"Versions": [listed("a", 1.0, "AWSPREVIOUS")]}, "KMS.NotFoundException"),
    ],
)
async def test_a_list_of_versions_that_makes_no_sense(asked: Ask, answer: object, code: str) -> None:
    fault = await fault_of(asked(lambda *_: answer).live_versions())
    assert fault.code == code
    assert len(str(fault)) < 200


A = _ID.format("a")
VALUE = {"VersionId": A, "SecretString": text_of(KEY)}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({}, "ServiceUnavailable"),
        ({"VersionId": A}, "ServiceUnavailable"),
        ({**VALUE, "VersionId": "b"}, "ServiceUnavailable"),
        ({"SecretString": text_of(KEY)}, "ServiceUnavailable"),
        ({**VALUE, "SecretBinary": text_of(KEY)}, "ServiceUnavailable"),
        ({**VALUE, "SecretString": 7}, "ServiceUnavailable"),
        ({"VersionId": A, "SecretBinary": "!"}, "ServiceUnavailable"),
        (VALUE, ""),
    ],
)
async def test_an_answer_that_is_not_the_version_asked_for(asked: Ask, answer: dict[str, object], code: str) -> None:
    sent: list[dict[str, Any]] = []

    def reply(operation: str, parameters: dict[str, Any]) -> object:
        if operation == "ListSecretVersionIds":
            return {"Versions": [CURRENT]}
        sent.append(parameters)
        return answer

    secret = asked(reply)
    if code:
        fault = await fault_of(newest_of(secret))
        assert fault.code == code
        assert text_of(KEY) not in str(fault)
    else:
        assert await newest_of(secret) == KEY
    assert sent == [{"SecretId": "scripted", "VersionId": A}]


@pytest.mark.parametrize(("excess", "fits"), [(0, True), (1, False)])
async def test_a_secret_larger_than_any(asked: Ask, excess: int, fits: bool) -> None:
    """What the service would not have taken is not looked into."""
    text = json.dumps({"key": text_of(KEY), "note": ""})
    text = text.replace('""', f'"{"n" * (65_536 - len(text) + excess)}"')

    def reply(operation: str, parameters: dict[str, Any]) -> object:
        return {"Versions": [CURRENT]} if operation == "ListSecretVersionIds" else {**VALUE, "SecretString": text}

    secret = asked(reply, "key")
    if fits:
        assert await newest_of(secret) == KEY
        return
    fault = await fault_of(newest_of(secret))
    assert (fault.code, "more than 65536 characters" in str(fault)) == ("InvalidArgument", True)


# --------------------------------------------------------------------------------------- numbers that are on no list


async def test_many_unknown_numbers_cost_one_list_per_second(asked: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_secrets_manager, "UNKNOWN_NUMBER_SECONDS", 0.2)
    lists: list[float] = []

    def reply(operation: str, parameters: dict[str, Any]) -> object:
        lists.append(time.monotonic())
        return {"Versions": [CURRENT]}

    secret = asked(reply)
    faults = await asyncio.gather(*(fault_of(secret.key(number)) for number in range(1, 201)))
    assert {fault.code for fault in faults} == {"KMS.NotFoundException"}
    assert len(lists) == 1
    await asyncio.gather(*(fault_of(secret.key(number)) for number in range(201, 401)))
    assert len(lists) == 2
    assert lists[1] - lists[0] >= 0.15


async def test_unknown_numbers_while_the_service_fails_share_its_fault(moto: MotoServer) -> None:
    """They are not told that the version does not exist: it may."""
    gone = caller_of("http://127.0.0.1:9")
    secret = AwsSecret(gone, "k", "whatever")
    faults = await asyncio.gather(*(fault_of(secret.key(number)) for number in range(1, 51)))
    assert {fault.code for fault in faults} == {"ServiceUnavailable"}
    assert len({id(fault) for fault in faults}) == 50
    await gone.aclose()
