"""`sealgate audit` at a real store: what it finds, how it says so, and what --fix makes of it."""

import csv
import io
import json
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.cli.auditing.finding import Finding, Status
from gateway.cli.auditing.order import InOrder
from gateway.cli.auditing.report import COLUMNS, Format, cell, report_as
from gateway.cli.rotation.listed import Listed
from gateway.cli.rotation.protection import Guard
from gateway.cli.rotation.targets import Difference
from gateway.policy.rules import ModeName
from gateway.s3.copy_source import CopySource
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.s3_server import S3Client
from lab.sealing import WRAPPING_KEY
from lab.seaweed import SeaweedFS

_FOREIGN = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"f" * 32}
_FORMULA = "=cmd|' /C calc'!A0"


class Place:
    """A bucket with a rule of its own, and the command about it."""

    def __init__(self, gateway: Gateway, client: S3Client, bucket: str, vault_path: str) -> None:
        self.gateway, self.client, self.bucket, self.vault_path = gateway, client, bucket, vault_path

    def put(self, key: str, **options: Any) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=b"data", **options)

    def audit(self, *options: str, prefix: str = "") -> Result:
        command = ["audit", f"s3://{self.bucket}/{prefix}", "--config", str(self.gateway.config_file), *options]
        return CliRunner().invoke(app, command, env=self.gateway.environment)

    def findings(self, *options: str, prefix: str = "", status: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The lines of the JSON report, and the summary."""
        done = self.audit("--format", "json", *options, prefix=prefix)
        assert done.exit_code == status, done.output
        *lines, last = map(json.loads, done.stdout.splitlines())
        assert all(tuple(line) == COLUMNS for line in lines)
        return lines, last["summary"]


@pytest.fixture
def place(tmp_path: Path, authority: CertificateAuthority, openbao: OpenBao, seaweed: SeaweedFS) -> Place:
    """A prefix for each mode. The customer key has one version."""
    bucket = f"audit-{uuid.uuid4().hex[:10]}"
    vault_path = f"cli/{bucket}"
    openbao.put_random_key(vault_path)
    options: dict[str, dict[str, Any]] = {
        "cse": {"wrapping_key": WRAPPING_KEY, "existing": "plaintext"},
        "sse-c": {"customer_key": "customer"},
        "sse-s3": {},
        "sse-kms": {"kms_key_name": seaweed.kms_key_id},
    }
    rules = [
        {"name": f"the {mode} rule", "buckets": [bucket], "prefixes": [f"{mode}/"], "mode": mode, **more}
        for mode, more in options.items()
    ]
    gateway = Gateway(
        tmp_path,
        authority,
        seaweed,
        rules=[*rules, {"name": "rest", "buckets": ["*"], "mode": "none"}],
        vault=openbao,
        customer_keys={"customer": vault_path},
        sealing=tmp_path / "sealing",
    )
    client = seaweed.client()
    client.create_bucket(Bucket=bucket)
    return Place(gateway, client, bucket, vault_path)


def test_nothing_is_found(place: Place, seaweed: SeaweedFS) -> None:
    """What the server encrypts as the rule asks for is right, whoever wrote it; and so is anything under `none`."""
    place.put("sse-s3/right", ServerSideEncryption="AES256")
    place.put("sse-kms/right", ServerSideEncryption="aws:kms", SSEKMSKeyId=seaweed.kms_key_id)
    place.put("elsewhere")
    lines, summary = place.findings(status=0)
    assert lines == []
    assert (summary["objects"], summary["found"], summary["not_known"], summary["kinds"]) == (3, 0, 0, [])


def test_what_is_found(place: Place, seaweed: SeaweedFS) -> None:
    place.put("sse-s3/plain")
    place.put("sse-s3/foreign", **_FOREIGN)
    place.put("sse-kms/other", ServerSideEncryption="AES256")
    place.put("cse/plain")
    place.put("sse-c/plain")
    lines, summary = place.findings("--concurrency", "3", status=1)
    assert {(line["object_key"], line["difference"], line["status"]) for line in lines} == {
        ("sse-s3/plain", "mode", "found"),
        ("sse-s3/foreign", "clients_own_key", "found"),
        ("sse-kms/other", "mode", "found"),
        ("cse/plain", "mode", "found"),
        ("sse-c/plain", "mode", "found"),
    }
    [other] = [line for line in lines if line["object_key"] == "sse-kms/other"]
    assert other["rule"] == "the sse-kms rule"
    assert other["found"] == [{"mode": "sse-s3", "key": "", "version": ""}]
    assert other["wanted"] == {"mode": "sse-kms", "key": seaweed.kms_key_id, "version": ""}
    assert (other["bucket"], other["stored_bytes"], other["version_id"]) == (place.bucket, 4, None)
    assert other["modified"].endswith("Z")
    assert (summary["objects"], summary["found"], summary["interrupted"]) == (5, 5, False)
    assert [line["object_key"] for line in place.findings(prefix="cse/", status=1)[0]] == ["cse/plain"]


@pytest.mark.slow
def test_another_key_is_found(place: Place, seaweed: SeaweedFS, openbao: OpenBao) -> None:
    """SeaweedFS opens keys by name: a second one at the same vault."""
    openbao.create_transit_key("audit-other")
    document = json.loads(place.gateway.config_file.read_text())
    place.put("sse-kms/object", ServerSideEncryption="aws:kms", SSEKMSKeyId=seaweed.kms_key_id)
    assert place.findings(status=0)[1]["objects"] == 1
    [rule] = [rule for rule in document["rules"] if rule["mode"] == "sse-kms"]
    rule["kms_key_name"] = "audit-other"
    place.gateway.config_file.write_text(json.dumps(document))
    [line] = place.findings(status=1)[0]
    assert (line["difference"], line["wanted"]["key"]) == ("key", "audit-other")


@pytest.mark.slow
def test_an_older_version_of_a_customer_key_is_found_and_fixed(place: Place, openbao: OpenBao) -> None:
    place.put("sse-c/object")
    lines, summary = place.findings("--fix", status=0)
    assert [(line["status"], line["difference"]) for line in lines] == [("fixed", "mode")]
    assert (summary["fixed"], summary["found"]) == (1, 0)
    assert place.findings(status=0)[0] == []
    newest = openbao.put_random_key(place.vault_path)
    [line] = place.findings(status=1)[0]
    assert (line["difference"], line["wanted"]["version"]) == ("key_version", str(newest))
    assert line["found"][0]["version"] == str(newest - 1)
    assert place.findings("--fix", status=0)[1]["fixed"] == 1
    assert place.findings(status=0)[0] == []


def test_fix_writes_the_findings_and_nothing_else(place: Place) -> None:
    place.put("sse-s3/right", ServerSideEncryption="AES256")
    place.put("sse-s3/foreign", **_FOREIGN)
    place.put("elsewhere")
    for number in range(4):
        place.put(f"cse/{number}", Metadata={"colour": "blue"})
    before = _etags(place)
    state = str(place.gateway.directory / "state")
    lines, summary = place.findings("--fix", "--state", state, status=1)
    fixed = {line["object_key"] for line in lines if line["status"] == "fixed"}
    assert fixed == {f"cse/{number}" for number in range(4)}
    assert (summary["fixed"], summary["found"], summary["not_fixed"]) == (4, 1, 0)
    after = _etags(place)
    assert {key for key in before if before[key] != after[key]} == fixed
    assert place.client.head_object(Bucket=place.bucket, Key="cse/1")["Metadata"]["colour"] == "blue"
    again = place.findings("--fix", "--state", state, prefix="", status=1)
    assert [line["object_key"] for line in again[0]] == ["sse-s3/foreign"]
    assert _etags(place) == after


@pytest.mark.slow
def test_findings_come_in_the_order_of_the_list(place: Place) -> None:
    """Whichever object was looked at first: under a customer key it takes more requests."""
    for number in range(40):
        place.put(f"{'cse' if number % 3 else 'sse-c'}/{number:02}", **(_FOREIGN if number % 5 == 0 else {}))
    keys = [line["object_key"] for line in place.findings("--concurrency", "8", status=1)[0]]
    assert len(keys) == 40
    assert keys == sorted(keys)


async def test_what_is_ahead_of_its_turn_is_kept_back() -> None:
    listed = [Listed(CopySource("bucket", str(number), str(number), None), "", 0) for number in range(5)]
    said: list[str] = []
    order = InOrder(lambda finding: said.append(finding.listed.place.object_key))

    async def items() -> AsyncIterator[Listed]:
        for item in listed:
            yield item

    assert [item async for item in order.noting(items())] == listed
    for number, expected in ((2, ""), (0, "0"), (1, "02"), (4, "02")):
        order.add(listed[number], None if number == 1 else Finding(Status.FOUND, listed[number]))
        assert "".join(said) == expected
    order.close()
    assert "".join(said) == "024"


@pytest.mark.slow
def test_an_interrupted_fix_goes_on_where_it_was(place: Place) -> None:
    """What was under way is finished and reported; the next run does the rest, and looks at nothing twice."""
    for number in range(20):
        place.put(f"cse/{number:02}")
    state = str(place.gateway.directory / "state")
    options = ("--format", "json", "--fix", "--state", state, "--concurrency", "2", "--rate")
    command = ["audit", f"s3://{place.bucket}/", "--config", str(place.gateway.config_file), *options, "5/s"]
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", *command],
        env=place.gateway.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        running.send_signal(signal.SIGINT)
        *lines, last = running.stdout.read().splitlines()
        assert running.wait(30) == 130
    done = [json.loads(line) for line in (first, *lines)]
    assert json.loads(last)["summary"]["interrupted"] is True
    assert {line["status"] for line in done} == {"fixed"}
    assert 1 <= len(done) < 10
    rest, summary = place.findings("--fix", "--state", state, status=0)
    assert [line["object_key"] for line in rest] == [f"cse/{number:02}" for number in range(len(done), 20)]
    assert (summary["objects"], summary["fixed"]) == (20, 20 - len(done))
    assert place.findings(status=0)[0] == []


@pytest.mark.slow
def test_old_versions(place: Place) -> None:
    place.client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
    place.put("sse-s3/object")
    place.put("sse-s3/object", ServerSideEncryption="AES256")
    assert place.findings(status=0)[0] == []
    [line] = place.findings("--versions", status=1)[0]
    entries = place.client.list_object_versions(Bucket=place.bucket)["Versions"]
    assert {entry["IsLatest"] for entry in entries if entry["VersionId"] == line["version_id"]} == {False}
    assert place.audit("--versions", "--fix").exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--state", "x"), ("--rate", "1"), ("--byte-rate", "1M"), ("--no-verify",)])
def test_options_that_need_fix(place: Place, options: tuple[str, ...]) -> None:
    done = place.audit(*options)
    assert done.exit_code == 2
    assert "--fix" in done.output


@pytest.mark.slow
def test_an_object_that_several_rules_may_be_about(place: Place) -> None:
    """Who wrote it is not known any more. What none of the rules asks for is found, and can not be fixed."""
    document = json.loads(place.gateway.config_file.read_text())
    by_identity = {"name": "rule of lab", "buckets": ["*"], "identities": ["lab"], "mode": "sse-s3"}
    document["rules"] = [by_identity, *(rule for rule in document["rules"] if rule["mode"] == "sse-c")]
    document["rules"].append({**document["rules"][-1], "name": "others", "buckets": ["*"], "prefixes": []})
    place.gateway.config_file.write_text(json.dumps(document))
    place.put("right", ServerSideEncryption="AES256")
    place.put("plain")
    [line] = place.findings(status=1)[0]
    assert (line["status"], line["object_key"], line["difference"]) == ("found", "plain", "mode")
    assert "rule of lab" in line["message"]
    [line] = place.findings("--fix", status=1)[0]
    assert (line["status"], line["object_key"]) == ("not_fixed", "plain")


@pytest.mark.slow
def test_a_table_can_not_steer_a_terminal(place: Place) -> None:
    place.put("cse/\u001b[2Jname")
    done = place.audit()
    assert done.exit_code == 1
    assert "\u001b" not in done.output
    assert "found      cse/\\x1b[2Jname  none -> cse local:lab-1" in done.output
    assert "1 objects; 1 found" in done.output


@pytest.mark.slow
def test_csv_is_no_program(place: Place) -> None:
    names = [f"cse/{_FORMULA}", 'cse/a,b"c;d', "cse/line\nfeed", "cse/ü"]
    for name in names:
        place.put(name)
    done = place.audit("--format", "csv")
    assert done.exit_code == 1
    head, *rows = csv.reader(io.StringIO(done.stdout, newline=""))
    assert tuple(head) == COLUMNS
    assert sorted(_unescaped(row[2]) for row in rows) == sorted(names)
    assert all(len(row) == len(COLUMNS) for row in rows)
    assert "4 objects; 4 found" in done.stderr


@pytest.mark.slow
def test_what_can_not_be_looked_at(place: Place, openbao: OpenBao) -> None:
    """The vault does not give the key: nothing is known about the object, and that is not nothing."""
    place.put("sse-c/object")
    place.put("sse-s3/right", ServerSideEncryption="AES256")
    openbao.delete_secret(place.vault_path)
    lines, summary = place.findings(status=1)
    assert [(line["status"], line["object_key"], line["wanted"]) for line in lines] == [
        ("not_known", "sse-c/object", None)
    ]
    assert lines[0]["message"]
    assert (summary["objects"], summary["not_known"]) == (2, 1)


@pytest.mark.slow
def test_a_bucket_that_is_not_there(place: Place) -> None:
    place.bucket = "audit-there-is-none"
    done = place.audit("--format", "json")
    assert done.exit_code == 1
    assert "can not be listed" in done.stderr
    assert "summary" not in done.stdout


def _etags(place: Place) -> dict[str, str]:
    listed = place.client.list_objects_v2(Bucket=place.bucket)["Contents"]
    return {entry["Key"]: entry["ETag"] for entry in listed}


def _unescaped(text: str) -> str:
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


_BEGINS_FORMULA = (
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain/name-1.csv", "plain/name-1.csv"),
        ("a=b", "a=b"),
        ("=1+1", "\\x3d1+1"),
        ("-2", "\\x2d2"),
        ("@SUM(A1)", "\\x40SUM(A1)"),
        ("\N{FULLWIDTH EQUALS SIGN}1", "\\uff1d1"),
        ("\t=1", "\\t=1"),
        ("a;=1", "a;\\x3d1"),
        ('a,"=1', 'a,"\\x3d1'),
        (" =1", " \\x3d1"),
        ("back\\slash", "back\\\\slash"),
        ("not \udcff utf-8", "not \\udcff utf-8"),
    ],
)
def test_a_cell(text: str, expected: str) -> None:
    assert cell(text) == expected


@given(st.text(st.sampled_from(_BEGINS_FORMULA + "ab \\,;\"'\n\t\r\x00ü\udc80\U0001f600"), max_size=12))
def test_every_cell_can_be_had_back_and_computes_nothing(text: str) -> None:
    shown = cell(text)
    assert _unescaped(shown) == text
    assert shown.isprintable()
    for part in _split(shown, ",;\"'\t |"):
        assert not part.startswith(tuple(_BEGINS_FORMULA))


def _split(text: str, separators: str) -> list[str]:
    for separator in separators:
        text = text.replace(separator, "\0")
    return text.split("\0")


@pytest.mark.parametrize("form", Format)
def test_names_that_are_no_text(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are no UTF-8 come out in a form that any program can read."""
    listed = Listed(CopySource("bucket", "odd%FF", "odd\udcff", "v\n1"), '"etag"', 0)
    finding = Finding(Status.FOUND, listed, "rule", Difference.MODE, (Guard(ModeName.NONE),), Guard(ModeName.SSE_S3), 4)
    report_as(form).add(finding)
    printed = capsys.readouterr().out
    assert printed.encode("utf-8")
    assert "odd\\udcff" in printed
    assert "v\\n1" in printed


def test_the_words_of_a_report() -> None:
    """Statuses and differences are what programs look at: they do not change."""
    assert [status.value for status in Status] == ["found", "fixed", "changed_meanwhile", "not_fixed", "not_known"]
    assert [difference.value for difference in Difference] == [
        "clients_own_key",
        "mode",
        "key",
        "key_version",
        "not_known",
    ]


def test_every_cell_of_a_finding_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Also what the store says: a key's name, a version, a message."""
    listed = Listed(CopySource("=bucket", "k", "=object", "=version"), '"etag"', 0)
    found = (Guard(ModeName.SSE_KMS, "=key"),)
    finding = Finding(Status.NOT_FIXED, listed, "=rule", Difference.KEY, found, None, 4, "=message")
    report_as(Format.CSV).add(finding)
    _, row = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    assert not [value for value in row if value.startswith("=")]
    assert row[6] == "sse-kms \\x3dkey"
