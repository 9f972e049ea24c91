"""A gateway of two workers whose buckets have one of the well-known policies each, over a rule that encrypts."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gateway.s3.kms_key_id import bare_key_id
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.ports import free_port
from lab.process import wait_until
from lab.s3_server import Credentials, S3Client, S3Server

SSE = "s3:x-amz-server-side-encryption"
KEY_ID = f"{SSE}-aws-kms-key-id"
CUSTOMER = f"{SSE}-customer-algorithm"

#: Signs with the same secret, and is allowed what a statement allows.
STRICT_ACCESS_KEY = "SEALGATELABSTRICT001"
CHECK_SECONDS = 0.2


def statement(sid: str, bucket: str, **fields: Any) -> dict[str, Any]:
    """A statement about everything in a bucket: it denies writes to everybody unless ``fields`` say otherwise."""
    resource = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    return {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": resource, **fields}


def well_known(bucket: str, key_id: str) -> dict[str, list[dict[str, Any]]]:
    """Policies that many owners have, by the name of their bucket. Source: Amazon S3 User Guide, "Bucket policies"."""
    conditions: dict[str, dict[str, Any]] = {
        "require-kms": {"StringNotEquals": {SSE: "aws:kms"}},
        "require-header": {"Null": {SSE: "true"}},
        "wrong-header": {"StringNotEquals": {SSE: "aws:kms"}, "Null": {SSE: "false"}},
        "one-key": {"StringNotEquals": {KEY_ID: key_id}, "Null": {KEY_ID: "false"}},
        "require-sse-c": {"Null": {CUSTOMER: "true"}},
        "forbid-sse-c": {"Null": {CUSTOMER: "false"}},
    }
    named = {
        name: [statement("Encryption", f"{bucket}-{name}", Condition=condition)]
        for name, condition in conditions.items()
    }
    age = {"NumericGreaterThan": {"s3:signatureAge": "600000"}}
    others = {
        "young-urls": age,
        "tls-only": {"Bool": {"aws:SecureTransport": "false"}},
        "tls-floor": {"NumericLessThan": {"s3:TlsVersion": "1.3"}},
    }
    return named | {
        name: [statement("Transport", f"{bucket}-{name}", Action="s3:*", Condition=condition)]
        for name, condition in others.items()
    }


class Policed:
    """The gateway, its buckets and its policy files.

    Attributes:
        key: the KMS key of the rules, as the configuration has it.
        plain_http: a listener for applications of the same machine.
        client: boto3 through the gateway.
        direct: boto3 straight to the store.
    """

    def __init__(self, directory: Path, authority: CertificateAuthority, store: S3Server) -> None:
        self.prefix = f"policed-{store.name}"
        self.store = store
        self.key = bare_key_id(store.kms_key_id)
        self.directory = directory
        directory.mkdir(parents=True)
        self._statements = well_known(self.prefix, self.key) | {
            "changing": [],
            "gated": [statement("Open", self.bucket("opened"), Effect="Allow", Action="s3:*")],
            "strict": [
                statement("Reads", self.bucket("strict"), Effect="Allow", Action="s3:GetObject"),
                statement("Lists", self.bucket("strict"), Effect="Allow", Action=["s3:ListBucket", "s3:DeleteObject"]),
                statement("Kept", self.bucket("strict"), Action="s3:DeleteObject")
                | {"Resource": f"arn:aws:s3:::{self.bucket('strict')}/kept/*"},
            ],
        }
        for name, statements in self._statements.items():
            self.write(name, statements)
        self.gateway = self._gateway(authority)
        self.direct: S3Client = store.client()
        self.client: S3Client = self.gateway.client()
        self.strict = Credentials(STRICT_ACCESS_KEY, self.gateway.credentials.secret_key)

    def start(self) -> None:
        """Make the buckets and start the gateway."""
        for name in (*self._statements, "opened"):
            self.direct.create_bucket(Bucket=self.bucket(name))
        self.gateway.start()

    def bucket(self, name: str) -> str:
        """The bucket of this name."""
        return f"{self.prefix}-{name}"

    def write(self, name: str, statements: list[dict[str, Any]] | str) -> None:
        """Replace a policy file as a whole, as configuration management does."""
        text = statements if isinstance(statements, str) else render(statements)
        new = self.directory / f"{name}.new"
        new.write_text(text)
        new.rename(self.directory / f"{name}.json")

    def hang_up(self) -> None:
        """Ask for a reload."""
        os.kill(self.gateway.process.pid, signal.SIGHUP)

    def messages(self) -> list[dict[str, Any]]:
        """What the gateway wrote beside its access log."""
        lines = self.gateway.log_file.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and '"operation"' not in line]

    def is_stored(self, bucket: str, object_key: str) -> bool:
        """Whether the store itself has an object."""
        try:
            self.direct.get_object_tagging(Bucket=bucket, Key=object_key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def wait_for(self, metric: str, value: float, **labels: str) -> None:
        """Wait until a metric has a value."""
        wait_until(
            lambda: self.gateway.metric(metric, **labels) == value, seconds=20, what=f"{metric} to become {value}"
        )

    def _gateway(self, authority: CertificateAuthority) -> Gateway:
        kms = {"mode": "sse-kms", "kms_key_name": self.key}
        bound = [self.bucket("gated"), self.bucket("opened")]
        identity = {
            "secret_access_key": "env:SEALGATE_LAB_CLIENT_SECRET",
            "upstream_credentials": {
                "kind": "static",
                "access_key_id": self.store.credentials.access_key,
                "secret_access_key": "env:SEALGATE_LAB_STORE_SECRET",
            },
        }
        client = Credentials("SEALGATELABCLIENT001")
        port = free_port()
        self.plain_http = f"http://127.0.0.1:{port}"
        loopback = {"address": "127.0.0.1", "port": port, "allow_plain_http_from_loopback": True}
        return Gateway(
            self.directory,
            authority,
            self.store,
            rules=[
                {"name": "bound", "buckets": bound, "refuse_other_encryption": True, **kms},
                # The rule adds its key where a client names none: SeaweedFS has no key of its own.
                {"name": "rest", "buckets": ["*"], "allowed_kms_key_names": ["another-key"], **kms},
            ],
            credentials=client,
            options={
                "workers": 2,
                "listeners": {"plain_http_loopback": [loopback]},
                "policies": [{"name": name, "file": str(self.directory / f"{name}.json")} for name in self._statements],
                "authorization": {"check_seconds": CHECK_SECONDS},
                "identities": [
                    {"name": "lab", "access_key_id": client.access_key, **identity},
                    {"name": "strict", "access_key_id": STRICT_ACCESS_KEY, "policy_default": "deny", **identity},
                ],
            },
        )


def render(statements: list[dict[str, Any]] | list[Mapping[str, Any]]) -> str:
    """A policy document; one that says nothing where there are no statements."""
    nothing = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::no-such-bucket"}
    return json.dumps({"Version": "2012-10-17", "Statement": statements or [nothing]}, indent=2)
