"""Well-known policies at the gateway: on every way of writing, before the rule that would encrypt by default."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import urllib3
from botocore.exceptions import ClientError

from lab.certificates import CertificateAuthority
from lab.process import wait_until
from lab.s3_server import s3_client
from lab.seaweed import SeaweedFS
from tests.e2e.policed import SSE, STRICT_ACCESS_KEY, Policed, statement
from tests.e2e.stage import fails, logged
from tests.e2e.wire import Key, send, signed_fields

_OWN = Key(b"p" * 32)
_HEADER: Final = "x-amz-server-side-encryption"


@pytest.fixture(scope="module")
def policed(lab_directory: Path, authority: CertificateAuthority, seaweed: SeaweedFS) -> Iterator[Policed]:
    running = Policed(lab_directory / "policed", authority, seaweed)
    running.start()
    yield running
    running.gateway.stop()


@pytest.fixture(scope="module")
def ways(policed: Policed) -> "Ways":
    return Ways(policed)


def _asked(policed: Policed, asked: str) -> dict[str, str]:
    """What a client sends to ask for an encryption itself."""
    return {
        "nothing": {},
        "AES256": {_HEADER: "AES256"},
        "kms": {_HEADER: "aws:kms"},
        "kms key": {_HEADER: "aws:kms", f"{_HEADER}-aws-kms-key-id": policed.key},
        "other key": {_HEADER: "aws:kms", f"{_HEADER}-aws-kms-key-id": "another-key"},
        "sse-c": _OWN.fields(),
    }[asked]


class Ways:
    """Every way of writing an object; each answers with status and body."""

    def __init__(self, policed: Policed) -> None:
        self._policed = policed
        self._gateway = policed.gateway
        self._signer = policed.gateway.client(signature_version="s3v4")
        self._signer.meta.events.register("before-sign.s3.PutObject", self._add_to_url)
        self._in_header: dict[str, str] = {}
        self._in_query: dict[str, str] = {}

    def put(self, bucket: str, key: str, fields: dict[str, str]) -> tuple[int, str]:
        return self.signed("PUT", f"/{bucket}/{key}", fields, b"data")

    def copy(self, bucket: str, key: str, fields: dict[str, str]) -> tuple[int, str]:
        source = self._policed.bucket("changing")
        self._policed.direct.put_object(Bucket=source, Key="source", Body=b"data")
        return self.signed("PUT", f"/{bucket}/{key}", fields | {"x-amz-copy-source": f"{source}/source"}, b"")

    def multipart(self, bucket: str, key: str, fields: dict[str, str]) -> tuple[int, str]:
        status, body = self.signed("POST", f"/{bucket}/{key}?uploads", fields, b"")
        if status != 200:
            return status, body
        upload = body.partition("<UploadId>")[2].partition("<")[0]
        on_parts = {name: value for name, value in fields.items() if "customer" in name}
        target = f"/{bucket}/{key}?uploadId={upload}"
        url = f"{self._gateway.endpoint}{target}"
        part = f"/{bucket}/{key}?partNumber=1&uploadId={upload}"
        headers = signed_fields(url, self._gateway.credentials, "PUT", part, on_parts, b"data")
        answer = send(self._gateway.endpoint, self._gateway.ca_file, "PUT", part, headers=headers, body=b"data")
        assert answer.status == 200, answer.body
        etag = answer.headers["ETag"].strip('"')
        document = (
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
            f"<ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
        )
        return self.signed("POST", target, on_parts, document.encode())

    def form(self, bucket: str, key: str, fields: dict[str, str]) -> tuple[int, str]:
        conditions: list[Any] = [{name: value} for name, value in fields.items()]
        signed = self._signer.generate_presigned_post(bucket, key, Fields=dict(fields), Conditions=conditions)
        parts = {**signed["fields"], "file": ("file", b"data", "application/octet-stream")}
        with urllib3.PoolManager(ca_certs=str(self._gateway.ca_file)) as http:
            answer = http.request("POST", signed["url"], fields=parts, redirect=False)
            return answer.status, answer.data.decode()

    def presigned(self, bucket: str, key: str, fields: dict[str, str]) -> tuple[int, str]:
        """The encryption is a header field that the URL's signature covers."""
        return self._by_url(bucket, key, fields, headers=fields)

    def query(self, bucket: str, key: str, fields: dict[str, str]) -> tuple[int, str]:
        """The encryption is a part of the URL."""
        return self._by_url(bucket, key, fields, headers={})

    def _by_url(self, bucket: str, key: str, fields: dict[str, str], headers: dict[str, str]) -> tuple[int, str]:
        self._in_header, self._in_query = headers, {} if headers else fields
        url = self._signer.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=300)
        with urllib3.PoolManager(ca_certs=str(self._gateway.ca_file)) as http:
            answer = http.request("PUT", url, body=b"data", headers=headers)
            return answer.status, answer.data.decode()

    def _add_to_url(self, request: Any, **_: Any) -> None:
        request.params.update(self._in_query)
        for name, value in self._in_header.items():
            request.headers[name] = value

    def signed(self, method: str, target: str, fields: dict[str, str], body: bytes) -> tuple[int, str]:
        gateway = self._gateway
        headers = signed_fields(gateway.endpoint, gateway.credentials, method, target, fields, body)
        answer = send(gateway.endpoint, gateway.ca_file, method, target, headers=headers, body=body)
        return answer.status, answer.body.decode()


_WAYS = ("put", "form", "multipart", "copy", "presigned", "query")
#: What may be asked for in each bucket; everything else is refused.
_ALLOWED = {
    "require-kms": {"kms", "kms key"},
    "require-header": {"AES256", "kms", "kms key"},
    "wrong-header": {"nothing", "kms", "kms key", "sse-c"},
    "one-key": {"nothing", "AES256", "kms", "kms key", "sse-c"},
    "require-sse-c": {"sse-c"},
    "forbid-sse-c": {"nothing", "AES256", "kms", "kms key"},
}


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("name", list(_ALLOWED))
def test_well_known_policies(policed: Policed, ways: Ways, name: str, way: str) -> None:
    """Header present, absent, wrong and right. The rule of the bucket would encrypt all of them with KMS."""
    write: Callable[[str, str, dict[str, str]], tuple[int, str]] = getattr(ways, way)
    bucket = policed.bucket(name)
    for asked in ("nothing", "AES256", "kms", "kms key", "sse-c", *(["other key"] if name == "one-key" else [])):
        key = f"{way}-{asked.replace(' ', '-')}"
        status, body = write(bucket, key, _asked(policed, asked))
        if asked in _ALLOWED[name]:
            assert status < 300, (asked, body)
            assert policed.is_stored(bucket, key)
        else:
            assert status == 403, (asked, status, body)
            assert "<Code>AccessDenied</Code>" in body
            expected = f"s3:PutObject is denied by statement 'Encryption' of policy '{name}'."
            assert expected in body.replace("&apos;", "'").replace("&#39;", "'")
            assert not policed.is_stored(bucket, key)


def test_a_refused_request_is_told_in_log_and_metric(policed: Policed) -> None:
    bucket, rule = policed.bucket("require-header"), "require-header/Encryption"
    before = policed.gateway.metric("sealgate_policy_decisions_total", effect="deny", rule=rule)
    assert fails(lambda: policed.client.put_object(Bucket=bucket, Key="told", Body=b"x"))[:2] == (403, "AccessDenied")
    line = logged(policed.gateway, bucket=bucket, object_key="told")
    assert (line["policy_effect"], line["policy_rule"], line["status"]) == ("deny", rule, 403)
    policed.wait_for("sealgate_policy_decisions_total", before + 1, effect="deny", rule=rule)
    policed.client.put_object(Bucket=bucket, Key="told well", Body=b"x", ServerSideEncryption="AES256")
    line = logged(policed.gateway, bucket=bucket, object_key="told well")
    assert (line["policy_effect"], line["policy_rule"]) == ("allow", "default")


@pytest.mark.parametrize(("minutes", "status"), [(9, 200), (11, 403)])
def test_old_presigned_urls_are_refused(policed: Policed, minutes: int, status: int) -> None:
    """The signature would be good for a week."""
    bucket = policed.bucket("young-urls")
    policed.client.put_object(Bucket=bucket, Key="k", Body=b"x")
    signed = datetime.now(UTC) - timedelta(minutes=minutes)
    signer = policed.gateway.client(signature_version="s3v4")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.crt.auth.get_current_datetime", lambda **_: signed)
        url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=604_800)
    with urllib3.PoolManager(ca_certs=str(policed.gateway.ca_file)) as http:
        assert http.request("GET", url).status == status


def test_plain_http_is_refused_where_a_policy_says_so(policed: Policed) -> None:
    """Also on a listener that is exempted from TLS."""
    client = s3_client(policed.plain_http, policed.gateway.ca_file, policed.gateway.credentials)
    client.put_object(Bucket=policed.bucket("changing"), Key="plain", Body=b"x")
    for call in (
        partial(client.put_object, Key="plain", Body=b"x"),
        partial(client.get_object, Key="plain"),
        client.list_objects_v2,
    ):
        status, code, message = fails(partial(call, Bucket=policed.bucket("tls-only")))
        assert (status, code) == (403, "AccessDenied")
        assert "denied by statement 'Transport' of policy 'tls-only'" in message
    policed.client.put_object(Bucket=policed.bucket("tls-only"), Key="secure", Body=b"x")


@pytest.mark.parametrize(("version", "status"), [(ssl.TLSVersion.TLSv1_2, 403), (ssl.TLSVersion.TLSv1_3, 200)])
def test_a_policy_sees_the_clients_version_of_tls(policed: Policed, version: ssl.TLSVersion, status: int) -> None:
    target, gateway = f"/{policed.bucket('tls-floor')}/key", policed.gateway
    headers = signed_fields(gateway.endpoint, gateway.credentials, "PUT", target, {}, b"x")
    context = ssl.create_default_context(cafile=str(gateway.ca_file))
    context.minimum_version = context.maximum_version = version
    with urllib3.PoolManager(ssl_context=context) as http:
        assert http.request("PUT", gateway.endpoint + target, body=b"x", headers=headers).status == status


def test_an_identity_may_be_allowed_nothing_by_default(policed: Policed) -> None:
    bucket = policed.bucket("strict")
    policed.client.put_object(Bucket=bucket, Key="k", Body=b"x")
    strict = policed.gateway.client(policed.strict)
    assert strict.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    status, code, message = fails(lambda: strict.put_object(Bucket=bucket, Key="k", Body=b"y"))
    assert (status, code, message) == (403, "AccessDenied", "No policy allows s3:PutObject here.")
    assert fails(lambda: strict.get_object(Bucket=policed.bucket("changing"), Key="k"))[0] == 403
    assert fails(strict.list_buckets)[0] == 403
    line = logged(policed.gateway, access_key_id=STRICT_ACCESS_KEY, operation="PutObject")
    assert (line["policy_effect"], line["policy_rule"]) == ("deny", "default")


def test_a_copy_takes_the_right_to_read_its_source(policed: Policed) -> None:
    bucket, strict = policed.bucket("strict"), policed.gateway.client(policed.strict)
    policed.client.put_object(Bucket=policed.bucket("opened"), Key="secret", Body=b"x")
    policed.client.put_object(Bucket=bucket, Key="readable", Body=b"x")
    to_opened = {"Bucket": policed.bucket("opened"), "Key": "copy"}
    strict.copy_object(**to_opened, CopySource={"Bucket": bucket, "Key": "readable"})
    source = {"Bucket": policed.bucket("changing"), "Key": "secret"}
    assert fails(lambda: strict.copy_object(**to_opened, CopySource=source))[2] == "No policy allows s3:GetObject here."


@pytest.mark.parametrize("quiet", [True, False])
def test_delete_objects_removes_what_may_be_removed(policed: Policed, quiet: bool) -> None:
    bucket, strict = policed.bucket("strict"), policed.gateway.client(policed.strict)
    for key in ("gone", "kept/a & b"):
        policed.client.put_object(Bucket=bucket, Key=key, Body=b"x")
    named = [{"Key": "gone"}, {"Key": "kept/a & b"}]
    answer = strict.delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": quiet})
    assert [one["Key"] for one in answer.get("Deleted", [])] == ([] if quiet else ["gone"])
    (error,) = answer["Errors"]
    assert (error["Key"], error["Code"]) == ("kept/a & b", "AccessDenied")
    assert error["Message"] == "s3:DeleteObject is denied by statement 'Kept' of policy 'strict'."
    assert not policed.is_stored(bucket, "gone")
    assert policed.is_stored(bucket, "kept/a & b")
    line = logged(policed.gateway, operation="DeleteObjects", bucket=bucket)
    assert (line["policy_effect"], line["policy_rule"]) == ("deny", "strict/Kept")


def test_delete_objects_asks_the_store_for_nothing_when_nothing_may_be_removed(policed: Policed) -> None:
    strict = policed.gateway.client(policed.strict)
    named = [{"Key": "kept/1"}, {"Key": "other", "VersionId": "v"}]
    answer = strict.delete_objects(Bucket=policed.bucket("strict"), Delete={"Objects": named})
    assert [(one["Key"], one.get("VersionId")) for one in answer["Errors"]] == [("kept/1", None), ("other", "v")]
    assert "Deleted" not in answer


def test_gated_operations_take_a_statement(policed: Policed) -> None:
    """Of two buckets whose rule limits clients, one has a policy that allows everything."""
    for bucket, allowed in ((policed.bucket("gated"), False), (policed.bucket("opened"), True)):
        policed.client.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="private")
        for method, arguments in (
            ("put_object_acl", {"Key": "k"}),
            ("put_object", {"Key": "k", "Body": b"x"}),
            ("put_bucket_acl", {}),
        ):
            call = partial(getattr(policed.client, method), Bucket=bucket, ACL="public-read", **arguments)
            if allowed:
                with contextlib.suppress(ClientError):  # the store may know less than S3
                    call()
                continue
            status, code, message = fails(call)
            assert (status, code) == (403, "AccessDenied")
            assert "encryption rule 'bound' limits what clients choose" in message
    rule = "encryption rule bound"
    assert policed.gateway.metric("sealgate_policy_decisions_total", effect="deny", rule=rule) >= 3
    line = logged(policed.gateway, operation="PutObjectAcl", bucket=policed.bucket("opened"))
    assert (line["policy_effect"], line["policy_rule"]) == ("allow", "gated/Open")


@pytest.mark.parametrize("element", ["OutputLocation", "SelectParameters"])
def test_a_restoration_to_another_place_takes_a_statement(policed: Policed, ways: Ways, element: str) -> None:
    """S3 would write it there with whatever encryption the request names."""
    there = f"<RestoreRequest><{element}><x/></{element}></RestoreRequest>".encode()
    in_place = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    for name, body, refused in (("gated", there, True), ("opened", there, False), ("gated", in_place, False)):
        policed.client.put_object(Bucket=policed.bucket(name), Key="restored", Body=b"x")
        status, answer = ways.signed("POST", f"/{policed.bucket(name)}/restored?restore", {}, body)
        assert ("s3:RestoreObject gets around that" in answer) is refused
        assert (status == 403) is refused
    line = logged(policed.gateway, operation="RestoreObject", bucket=policed.bucket("gated"), status=403)
    assert (line["policy_effect"], line["policy_rule"]) == ("deny", "encryption rule bound")


def test_a_rule_refuses_other_encryption(policed: Policed) -> None:
    where = {"Bucket": policed.bucket("gated"), "Key": "other"}
    policed.client.put_object(**where, Body=b"x", ServerSideEncryption="aws:kms")
    for own in ({"ServerSideEncryption": "AES256"}, _OWN.arguments()):
        status, code, message = fails(partial(policed.client.put_object, **where, Body=b"x", **own))
        assert (status, code) == (403, "AccessDenied")
        assert "refuses every other encryption than its own, which is sse-kms" in message


def test_a_policy_that_is_taken_away_leaves_the_default(policed: Policed, ways: Ways) -> None:
    """Under "require the header" an application has to send it; without that policy the rule encrypts by default."""
    put = partial(ways.put, policed.bucket("changing"), "default", {})
    policed.write("changing", _require_header(policed))
    _everywhere(lambda: put()[0] == 403)
    policed.write("changing", [])
    _everywhere(lambda: put()[0] == 200)
    head = policed.direct.head_object(Bucket=policed.bucket("changing"), Key="default")
    assert head["ServerSideEncryption"] == "aws:kms"


def _require_header(policed: Policed) -> list[dict[str, Any]]:
    return [statement("Header", policed.bucket("changing"), Condition={"Null": {SSE: "true"}})]


def _everywhere(holds: Callable[[], bool]) -> None:
    """Wait until something holds for sixteen connections in a row, which no worker misses."""
    wait_until(lambda: all(holds() for _ in range(16)), seconds=20, what="the new policy in every worker")


def test_a_broken_file_leaves_the_old_policies_under_traffic(policed: Policed, ways: Ways) -> None:
    """Every worker keeps what it had, says where the fault is, and no request is served in between."""
    put = partial(ways.put, policed.bucket("changing"), "traffic")
    policed.write("changing", _require_header(policed))
    _everywhere(lambda: put({})[0] == 403)
    stop = threading.Event()
    served: list[tuple[int, int]] = []

    def traffic() -> None:
        while not stop.is_set():
            served.append((put({})[0], put({_HEADER: "aws:kms"})[0]))

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        policed.write("changing", '{\n  "Version": "2012-10-17",\n  "Statement": [{"Effect": "Refuse"}]\n}')
        wait_until(lambda: set(_failures(policed)) == {0, 1}, seconds=20, what="a failed reading in each worker")
        assert policed.gateway.metric("sealgate_policy_files_broken") == 1
        policed.hang_up()
        wait_until(lambda: len(_failures(policed)) >= 4, seconds=20, what="two failed readings in each worker")
        loaded = policed.gateway.metric("sealgate_policy_files_loaded_timestamp_seconds")
        policed.write("changing", _require_header(policed))
        policed.wait_for("sealgate_policy_files_broken", 0)
    finally:
        stop.set()
        thread.join()
    assert set(served) == {(403, 200)}
    faults = [line["fault"] for line in policed.messages() if line["event"] == "policy_fault"]
    assert all(fault.startswith("changing, line 3: Statement[0]") for fault in faults)
    assert any("Statement[0].Effect" in fault for fault in faults)
    assert policed.gateway.metric("sealgate_policy_reads_total", result="failed") >= 4
    assert policed.gateway.metric("sealgate_policy_files_loaded_timestamp_seconds") > loaded
    policed.write("changing", [])
    _everywhere(lambda: put({})[0] == 200)


def _failures(policed: Policed) -> list[int]:
    """The worker of each reading that failed."""
    return [line["worker"] for line in policed.messages() if line["event"] == "policy_reload_failed"]
