"""What the demonstration shows, and how it tells it. Every statement is asserted before it is printed."""

import http.client
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo.application import INVOICE
from demo.sealed_story import SealedStory
from demo.stage import MODES, POLICED_BUCKET, Stage
from lab.binaries import require_binary

_KEY = "2026/invoice 4711.txt"
_PROJECT = Path(__file__).resolve().parent.parent
_SHOWN_HEADERS = ("ServerSideEncryption", "SSEKMSKeyId", "SSECustomerAlgorithm", "SSECustomerKeyMD5")


class Story:
    """Tells one run."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._step = 0

    def tell(self) -> None:
        """Show everything, in the order in which a newcomer would ask."""
        self.one_line_changes()
        for mode in MODES:
            self.application_through_gateway(mode)
        self.command_line()
        self.what_the_store_holds()
        self.without_the_key()
        self.rotation()
        self.rewrap()
        SealedStory(self._stage, self._head, self._line).tell()
        self.policy()
        self.no_proof_no_success()
        self.plain_http()
        self.counted()

    def one_line_changes(self) -> None:
        stage = self._stage
        self._head("The application changes its endpoint, and nothing else")
        before, after = stage.environment(stage.store.endpoint), stage.environment(stage.gateway.endpoint)
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"AWS_ENDPOINT_URL_S3"}
        for sign, value in (("-", before), ("+", after)):
            self._line(f"  {sign} AWS_ENDPOINT_URL_S3={value['AWS_ENDPOINT_URL_S3']}")
        self._line(f"    AWS_CA_BUNDLE={Path(before['AWS_CA_BUNDLE']).name}   (HTTPS on both sides, verified)")

    def application_through_gateway(self, mode: str) -> None:
        self._head(f"Bucket {mode}: boto3, unmodified, through the gateway")
        self._stage.gateway.client().create_bucket(Bucket=mode)
        self._line("  application: " + self._run([sys.executable, "-m", "demo.application", mode]))

    def command_line(self) -> None:
        self._head("The aws CLI with its default settings")
        aws = str(require_binary("aws"))
        source = self._stage.directory / "report.bin"
        source.write_bytes(os.urandom(12 * 1024 * 1024))
        back = self._stage.directory / "report.back"
        for mode in MODES:
            self._run([aws, "s3", "cp", "--only-show-errors", str(source), f"s3://{mode}/report.bin"])
            self._run([aws, "s3", "cp", "--only-show-errors", f"s3://{mode}/report.bin", str(back)])
            assert back.read_bytes() == source.read_bytes()
            self._line(f"  aws s3 cp report.bin s3://{mode}/report.bin    and back: equal")

    def what_the_store_holds(self) -> None:
        self._head("What the store really holds, asked directly, as its administrator")
        table = Table("bucket", "answer to HEAD, without the gateway", "the invoice's text on the store's disk")
        for mode in MODES:
            table.add_row(mode, escape(self._direct_head(mode)), self._on_disk(mode))
        self._console.print(table)

    def without_the_key(self) -> None:
        stage = self._stage
        self._head("The SSE-C object without its key, and with the key from the vault")
        direct = stage.store.client()
        try:
            direct.get_object(Bucket="sse-c", Key=_KEY)
        except ClientError as error:
            self._line(f"  GET at the store without a key: {_described(error)}")
        else:
            raise AssertionError("the store gave an SSE-C object without its key")
        key = stage.customer_key(1)
        found = direct.get_object(Bucket="sse-c", Key=_KEY, SSECustomerAlgorithm="AES256", SSECustomerKey=key)
        assert found["Body"].read() == INVOICE
        self._line(f"  GET at the store with version 1 of the vault's key: {INVOICE.decode().strip()!r}")
        assert stage.gateway.client().get_object(Bucket="sse-c", Key=_KEY)["Body"].read() == INVOICE
        self._line("  GET through the gateway, as the application does it: the same, and no client ever saw the key")

    def rotation(self) -> None:
        stage = self._stage
        self._head("The key is rotated in the vault, while the gateway runs")
        version = stage.rotate_key()
        client, direct = stage.gateway.client(), stage.store.client()
        key = stage.customer_key(version)
        number = 0
        while True:
            number += 1
            name = f"2026/after rotation {number}.txt"
            client.put_object(Bucket="sse-c", Key=name, Body=INVOICE)
            try:
                direct.head_object(Bucket="sse-c", Key=name, SSECustomerAlgorithm="AES256", SSECustomerKey=key)
                break
            except ClientError:
                assert number < 1000, "the rotation was never seen"
        assert client.get_object(Bucket="sse-c", Key=name)["Body"].read() == INVOICE
        assert client.get_object(Bucket="sse-c", Key=_KEY)["Body"].read() == INVOICE
        self._line(f"  new objects are under version {version}, the old ones still read under version 1")

    def rewrap(self) -> None:
        gateway = self._stage.gateway
        self._head("The old objects get the new key, too: sealgate rewrap")
        command = [sys.executable, "-m", "gateway", "rewrap", "s3://sse-c/", "--config", str(gateway.config_file)]
        self._line("  $ sealgate rewrap s3://sse-c/")
        summary = self._run(command, gateway.environment).splitlines()
        assert any("sse-c demo v1 -> sse-c demo v2" in line for line in summary), summary
        for line in summary:
            self._line(f"  {line}")
        assert gateway.client().get_object(Bucket="sse-c", Key=_KEY)["Body"].read() == INVOICE
        key = self._stage.customer_key(2)
        self._stage.store.client().head_object(
            Bucket="sse-c", Key=_KEY, SSECustomerAlgorithm="AES256", SSECustomerKey=key
        )
        self._line("  The invoice is under version 2 now, which may become the only one.")

    def policy(self) -> None:
        self._head("A bucket policy, evaluated by the gateway before any default encryption")
        client, bucket = self._stage.gateway.client(), POLICED_BUCKET
        client.create_bucket(Bucket=bucket)
        try:
            client.put_object(Bucket=bucket, Key=_KEY, Body=INVOICE)
        except ClientError as error:
            self._line(f"  PUT that names no encryption: {_described(error)}")
        else:
            raise AssertionError("a policy that demands encryption was not obeyed")
        client.put_object(Bucket=bucket, Key=_KEY, Body=INVOICE, ServerSideEncryption="AES256")
        self._line("  PUT with x-amz-server-side-encryption: AES256: stored")

    def no_proof_no_success(self) -> None:
        self._head("A store that ignores the encryption asked for")
        client = self._stage.gateway.client()
        client.create_bucket(Bucket="dsse-kms")
        try:
            client.put_object(Bucket="dsse-kms", Key=_KEY, Body=INVOICE)
        except ClientError as error:
            self._line("  This store ignores dsse-kms, stores in the clear and answers 200. The application gets:")
            self._line(f"  {_described(error)}")
        else:
            raise AssertionError("a write without proof of its encryption succeeded")

    def plain_http(self) -> None:
        self._head("Plain HTTP")
        host = urlsplit(self._stage.gateway.http_endpoint).netloc
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", "/sse-c/x", headers={"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/..."})
        answer = connection.getresponse()
        assert answer.status == 403
        self._line(f"  GET {self._stage.gateway.http_endpoint}/sse-c/x: {answer.status}, refused and not redirected")
        connection.close()

    def counted(self) -> None:
        gateway = self._stage.gateway
        self._head("All of it was counted")
        table = Table("metric", *MODES)
        for event in ("objects_written", "objects_read", "encryption_injected"):
            metric = f"sealgate_{event}_total"
            table.add_row(metric, *(f"{gateway.metric(metric, mode=mode):.0f}" for mode in MODES))
        self._console.print(table)
        for metric, labels in (
            ("sealgate_vault_requests_total", {"result": "ok"}),
            ("sealgate_plaintext_http_refused_total", {"reason": "credentials"}),
            ("sealgate_policy_decisions_total", {"effect": "deny", "rule": "house rules/EncryptEverything"}),
            ("sealgate_encryption_unproven_total", {"mode": "dsse-kms"}),
            ("sealgate_sealed_objects_total", {}),
            ("sealgate_opened_objects_total", {}),
            ("sealgate_data_key_cache_total", {"operation": "open", "result": "hit"}),
            ("sealgate_integrity_failures_total", {"fault": "chunk"}),
        ):
            value = gateway.metric(metric, **labels)
            assert value > 0, metric
            self._line(f"  {metric}{labels or ''} {value:.0f}")

    def _direct_head(self, mode: str) -> str:
        try:
            found = self._stage.store.client().head_object(Bucket=mode, Key=_KEY)
        except ClientError as error:
            return f"refused: HTTP {error.response['ResponseMetadata']['HTTPStatusCode']}"
        shown = [f"{name}={found[name]}" for name in _SHOWN_HEADERS if name in found]
        if found["Metadata"].get("sealgate"):
            assert not shown
            shown = [f"x-amz-meta-sealgate: {found['Metadata']['sealgate']}"]
        return ", ".join(shown) or "no encryption"

    def _on_disk(self, mode: str) -> str:
        files = self._stage.store.files_of(mode)
        assert any(path.stat().st_size > 1024 * 1024 for path in files), "the store keeps its objects elsewhere"
        found = any(INVOICE in path.read_bytes() for path in files)
        assert found == (mode == "none"), mode
        return "readable" if found else "not to be found"

    def _run(self, command: Sequence[str], further: Mapping[str, str] | None = None) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= further or self._stage.environment(self._stage.gateway.endpoint)
        done = subprocess.run(
            command, env=environment, cwd=_PROJECT, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def _head(self, text: str) -> None:
        self._step += 1
        self._console.print(f"\n[bold]{self._step}. {escape(text)}[/bold]")

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _described(error: ClientError) -> str:
    details = error.response["Error"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return f"{status} {details['Code']}: {details.get('Message', '')}"
