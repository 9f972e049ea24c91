"""``sealgate check-config`` as a user runs it: every fault at once, status 1, no secret."""

import base64
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.keys.keyring_editing import add_key
from lab.certificates import CertificateAuthority, CertificateFiles

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
SECRET = "zqjXsecretXzqj"

Check = Callable[..., Result]


@pytest.fixture
def files(authority: CertificateAuthority, tmp_path: Path) -> CertificateFiles:
    """A certificate and key of this test's own."""
    issued = authority.issue_server("check-config", hosts=("gateway.example", "*.s3.example.com"))
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(issued.certificate.read_bytes())
    key.touch(mode=0o600)
    key.write_bytes(issued.key.read_bytes())
    return CertificateFiles(certificate, key)


@pytest.fixture
def check(files: CertificateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs the command on a sound configuration in which some options are replaced."""
    monkeypatch.setenv("CLIENT_SECRET", SECRET)

    def run(*arguments: str, listener: dict[str, Any] | None = None, **options: Any) -> Result:
        https = {"certificate": str(files.certificate), "private_key": str(files.key), **(listener or {})}
        document = {
            "listeners": {"https": [https]},
            "identities": [
                {
                    "name": "app",
                    "access_key_id": "AKIDAPP",
                    "secret_access_key": "env:CLIENT_SECRET",
                    "upstream_credentials": {"kind": "default-chain"},
                }
            ],
            "rules": [{"name": "rest", "buckets": ["*"], "mode": "sse-s3"}],
            **options,
        }
        file = tmp_path / "sealgate.yaml"
        file.write_text(json.dumps(document))
        return CliRunner().invoke(app, ["check-config", *arguments, str(file)])

    return run


def write_certificate(
    file: Path, *, begins: datetime.timedelta, ends: datetime.timedelta
) -> ec.EllipticCurvePrivateKey:
    """A self-signed certificate without host names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made up")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW + begins)
        .not_valid_after(NOW + ends)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key


def write_key(file: Path, key: ec.EllipticCurvePrivateKey, password: str = "") -> None:
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))


def test_sound_configuration(check: Check) -> None:
    result = check()
    assert result.exit_code == 0
    assert result.stdout.endswith("sealgate.yaml: no faults\n")
    assert result.stderr == ""


def test_all_faults_at_once(check: Check) -> None:
    """Faults of several options in one run, counted, status 1; the secret in the wrong place is not repeated."""
    result = check(
        workers=0,
        upstream={"endpoint": "http://store"},
        rules=[{"name": "r", "buckets": ["*"], "mode": "sse-c", "customer_key": "k"}],
        vaults={"v": {"address": "https://v", "token": SECRET}},
    )
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert {line.partition(": ")[0] for line in lines[:-1]} == {
        "workers",
        "upstream.endpoint",
        "rules[0].mode",
        "rules[0].customer_key",
        "vaults.v.token",
    }
    assert lines[-1].endswith("sealgate.yaml: 5 faults")
    assert SECRET not in result.output


def test_missing_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check-config", str(tmp_path / "none.yaml")])
    assert result.exit_code == 1
    assert "No such file" in result.stderr


def test_options_only_looks_at_no_files(check: Check) -> None:
    result = check("--options-only", listener={"certificate": "/nowhere"})
    assert result.exit_code == 0


def test_all_missing_files_and_variables_at_once(check: Check, tmp_path: Path) -> None:
    result = check(
        listener={"certificate": "/nowhere/c", "private_key": "/nowhere/k", "private_key_password": "env:NO_PASSWORD"},
        upstream={"ca_bundle": "/nowhere/ca"},
        vaults={"v": {"address": "https://v", "token": "file:/nowhere/token"}},
    )
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert {line.partition(": ")[0] for line in lines[:-1]} == {
        "listeners.https[0].certificate",
        "listeners.https[0].private_key",
        "listeners.https[0].private_key_password",
        "upstream.ca_bundle",
        "vaults.v.token",
    }
    assert lines[-1].endswith("5 faults")


def test_certificate_that_is_no_certificate(check: Check, files: CertificateFiles) -> None:
    files.certificate.write_text("hello")
    result = check()
    assert result.exit_code == 1
    assert "listeners.https[0].certificate: " in result.stderr
    assert "no PEM certificate" in result.stderr


@pytest.mark.parametrize(
    ("begins", "ends", "status", "part"),
    [
        (-10 * DAY, -1 * DAY, 1, "listeners.https[0].certificate: the certificate of CN=made up expired on"),
        (1 * DAY, 90 * DAY, 1, "listeners.https[0].certificate: the certificate of CN=made up is not valid before"),
        (-1 * DAY, 13 * DAY, 0, "warning: listeners.https[0].certificate: the certificate of CN=made up expires on"),
        (-1 * DAY, 90 * DAY, 0, "warning: listeners.https[0].certificate: names no host"),
    ],
)
def test_validity(
    check: Check,
    files: CertificateFiles,
    begins: datetime.timedelta,
    ends: datetime.timedelta,
    status: int,
    part: str,
) -> None:
    write_key(files.key, write_certificate(files.certificate, begins=begins, ends=ends))
    result = check()
    assert result.exit_code == status, result.output
    assert part in result.stderr


def test_key_of_another_certificate(check: Check, files: CertificateFiles) -> None:
    write_key(files.key, ec.generate_private_key(ec.SECP256R1()))
    result = check()
    assert result.exit_code == 1
    assert "listeners.https[0].private_key: does not belong to the certificate" in result.stderr


@pytest.mark.parametrize(
    ("password", "option", "part"),
    [
        ("open", None, "is encrypted; set private_key_password"),
        ("open", "shut", "its password is wrong"),
        ("", "open", "is not encrypted, so it has no password"),
        ("open", "open", None),
    ],
)
def test_encrypted_key(
    check: Check,
    files: CertificateFiles,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    option: str | None,
    part: str | None,
) -> None:
    write_key(files.key, write_certificate(files.certificate, begins=-DAY, ends=90 * DAY), password)
    monkeypatch.setenv("KEY_PASSWORD", option or "")
    result = check(listener={"private_key_password": "env:KEY_PASSWORD"} if option else None)
    assert result.exit_code == (1 if part else 0), result.output
    if part:
        assert "listeners.https[0].private_key: " in result.stderr
        assert part in result.stderr


@pytest.mark.parametrize(
    ("mode", "status", "part"),
    [
        (0o600, 0, None),
        (0o640, 0, None),
        (0o644, 0, "warning: listeners.https[0].private_key: every user of this machine can read"),
        (0o660, 1, "listeners.https[0].private_key: "),
    ],
)
def test_key_permissions(check: Check, files: CertificateFiles, mode: int, status: int, part: str | None) -> None:
    files.key.chmod(mode)
    result = check()
    assert result.exit_code == status
    assert part is None or part in result.stderr


def test_secret_file_permissions(check: Check, tmp_path: Path) -> None:
    """A token that everybody can read is worth a warning; one that others can replace is a fault."""
    token = tmp_path / "token"
    token.write_text(SECRET)
    vaults = {"v": {"address": "https://v", "token": f"file:{token}"}}
    token.chmod(0o644)
    result = check(vaults=vaults)
    assert result.exit_code == 0
    assert "warning: vaults.v.token: every user of this machine can read" in result.stderr
    token.chmod(0o666)
    result = check(vaults=vaults)
    assert result.exit_code == 1
    assert "vaults.v.token: " in result.stderr
    assert SECRET not in result.output


def test_authorities(check: Check, files: CertificateFiles, tmp_path: Path) -> None:
    """A file without certificates is a fault, one with expired authorities only a warning."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("nothing")
    result = check(upstream={"ca_bundle": str(bundle)})
    assert result.exit_code == 1
    assert "upstream.ca_bundle: " in result.stderr
    write_certificate(bundle, begins=-10 * DAY, ends=-DAY)
    result = check(listener={"client_certificates": "required", "client_ca": str(bundle)})
    assert result.exit_code == 0
    assert "warning: listeners.https[0].client_ca: every authority in it has expired" in result.stderr


CSE_RULES = [
    {"name": "c", "buckets": ["c"], "mode": "cse", "wrapping_key": "w"},
    {"name": "rest", "buckets": ["*"], "mode": "sse-s3"},
]


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    file = tmp_path / "keyring.json"
    add_key(file, "one")
    return file


def sealing(file: Path, staging: Path, **options: Any) -> dict[str, Any]:
    return {
        "rules": CSE_RULES,
        "wrapping_keys": {"w": {"provider": "local", "keyring": str(file), **options}},
        "staging": {"location": staging.as_uri()},
    }


def test_keyring(check: Check, keyring: Path, tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    assert check(**sealing(keyring, staging)).output.endswith("no faults\n")
    for options, part in (({"key_id": "two"}, "the keyring has no key 'two'"), ({"keyring": "/nowhere"}, "No such")):
        result = check(**sealing(keyring, staging, **options))
        assert result.exit_code == 1
        assert "wrapping_keys.w: " in result.stderr
        assert part in result.stderr
    keyring.chmod(0o644)
    result = check(**sealing(keyring, staging))
    assert "chmod 0600" in result.stderr
    assert result.exit_code == 1
    keyring.chmod(0o600)
    key = base64.b64encode(bytes(range(32))).decode()
    document = json.loads(keyring.read_text())
    document["keys"][0]["key"] = key
    keyring.write_text(json.dumps(document))
    result = check(**sealing(keyring, staging))
    assert "keys[0] can not be used: its bytes follow a pattern" in result.stderr
    assert key not in result.output


def test_staging_directory(check: Check, keyring: Path, tmp_path: Path) -> None:
    """It may be missing where it can be made; when it is there, it is private."""
    staging = tmp_path / "staging"
    staging.mkdir(mode=0o700)
    assert check(**sealing(keyring, staging)).exit_code == 0
    staging.chmod(0o750)
    result = check(**sealing(keyring, staging))
    assert result.exit_code == 1
    assert "staging.location: " in result.stderr
    assert f"chmod 0700 {staging}" in result.stderr
    for place in (keyring, keyring / "below"):
        result = check(**sealing(keyring, place))
        assert result.exit_code == 1
        assert "staging.location: " in result.stderr
    assert check(staging={"location": (keyring / "below").as_uri()}).exit_code == 0, "nothing is sealed"


def test_bucket_domains_need_a_wildcard_certificate(check: Check) -> None:
    assert check(virtual_host_domains=["s3.example.com"]).stderr == ""
    result = check(virtual_host_domains=["s3.example.com", "other.example.com"])
    assert result.exit_code == 0
    assert "warning: virtual_host_domains[1]: no certificate is for *.other.example.com" in result.stderr


def test_directory_of_a_unix_socket(check: Check, tmp_path: Path) -> None:
    options = {"unix_socket": "/nowhere/s3.sock", "allow_plain_http_from_loopback": True}
    result = check(listeners={"plain_http_loopback": [options]})
    assert result.exit_code == 1
    assert "listeners.plain_http_loopback[0].unix_socket: " in result.stderr
    result = check(listeners={"plain_http_loopback": [{**options, "unix_socket": str(tmp_path / "s3.sock")}]})
    assert result.exit_code == 0


@pytest.mark.parametrize("method", ["kubernetes", "jwt"])
def test_token_file_of_a_vault(check: Check, tmp_path: Path, method: str) -> None:
    file = tmp_path / "token"
    vaults = {"main": {"address": "https://vault:8200", method: {"role": "r", "token_file": str(file)}}}
    result = check(vaults=vaults)
    assert result.exit_code == 1
    assert f"vaults.main.{method}.token_file: {file} does not exist" in result.stderr
    file.write_text("a.b.c")
    assert check(vaults=vaults).exit_code == 0


def test_policy_files_are_read(check: Check, tmp_path: Path) -> None:
    """Each fault with the option, the policy, its line and its field."""
    broken, sound = tmp_path / "broken.json", tmp_path / "sound.json"
    broken.write_text('{\n  "Statement": [\n    {"Effect": "Deny", "Principal": "*", "Resource": "*"}\n  ]\n}')
    sound.write_text('{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}}')
    sound.chmod(0o620)
    files = {"broken": broken, "sound": sound, "gone": tmp_path / "gone.json"}
    result = check(policies=[{"name": name, "file": str(file)} for name, file in files.items()])
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[0].startswith("policies[0].file: broken, line 3: Statement[0]")
    assert "Action" in lines[0]
    assert lines[1].startswith("warning: policies[1].file: others than its owner may write")
    assert lines[2].startswith("policies[2].file: gone: ")
    assert lines[3].endswith(": 2 faults")
