"""Policies that the servers keep with their buckets, obeyed at the gateway whatever the server makes of them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.process import wait_until
from lab.s3_server import S3Client, S3Server
from tests.e2e.stage import fails, logged

_PRESIGNED = {"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}


def _bucket_policies(store: S3Server, secret: str = "env:SEALGATE_LAB_STORE_SECRET", **options: Any) -> dict[str, Any]:
    static = {"kind": "static", "access_key_id": store.credentials.access_key, "secret_access_key": secret}
    times = {"refresh_seconds": 0.2, "maximum_age_seconds": 30, **options}
    return {"authorization": {"bucket_policies": {"upstream_credentials": static, **times}}}


@pytest.fixture(
    scope="module",
    params=["seaweed", pytest.param("rgw", marks=pytest.mark.slow), pytest.param("minio", marks=pytest.mark.slow)],
)
def store(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="module")
def gateway(
    store: S3Server, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    running = Gateway(
        tmp_path_factory.mktemp("bucket-policies"),
        authority,
        store,
        rules=[{"name": "rest", "buckets": ["*"], "mode": "none"}],
        options=_bucket_policies(store),
    )
    running.start()
    yield running
    running.stop()


def _deny(bucket: str, action: str, **fields: Any) -> str:
    resource = f"arn:aws:s3:::{bucket}/*"
    statement = {"Sid": "Told", "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource, **fields}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _get_by_url(gateway: Gateway, client: S3Client, bucket: str) -> tuple[int, str]:
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=300)
    with urllib3.PoolManager(ca_certs=str(gateway.ca_file)) as http:
        answer = http.request("GET", url)
        return answer.status, answer.data.decode()


def test_a_buckets_own_policy_sees_the_clients_request(store: S3Server, gateway: Gateway) -> None:
    """The server gets a signature in the header, whatever the client sent: it can not tell one from the other."""
    bucket, direct = f"own-policy-{store.name}", store.client()
    direct.create_bucket(Bucket=bucket)
    client = gateway.client(signature_version="s3v4")
    client.put_object(Bucket=bucket, Key="k", Body=b"data")
    assert _get_by_url(gateway, client, bucket) == (200, "data")
    direct.put_bucket_policy(Bucket=bucket, Policy=_deny(bucket, "s3:GetObject", Condition=_PRESIGNED))
    wait_until(lambda: _get_by_url(gateway, client, bucket)[0] == 403, seconds=10, what="the policy at the gateway")
    answer = _get_by_url(gateway, client, bucket)[1]
    assert f"denied by statement &apos;Told&apos; of policy &apos;bucket policy of {bucket}&apos;" in answer.replace(
        "'", "&apos;"
    )
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    line = logged(gateway, bucket=bucket, status=403)
    assert (line["policy_effect"], line["policy_rule"]) == ("deny", f"bucket policy of {bucket}/Told")
    assert gateway.metric("sealgate_policy_decisions_total", effect="deny", rule="bucket policy") >= 2
    assert gateway.metric("sealgate_bucket_policy_reads_total", result="ok") >= 1
    direct.delete_bucket_policy(Bucket=bucket)
    wait_until(lambda: _get_by_url(gateway, client, bucket)[0] == 200, seconds=10, what="the end of the policy")


def test_the_source_of_a_copy_has_its_own_policy(store: S3Server, gateway: Gateway) -> None:
    source, other, direct = f"own-source-{store.name}", f"own-other-{store.name}", store.client()
    for bucket in (source, other):
        direct.create_bucket(Bucket=bucket)
        gateway.client().put_object(Bucket=bucket, Key="k", Body=b"data")
    by_name = {"StringEquals": {"aws:username": "lab"}}  # what the gateway calls its client, and no server does
    direct.put_bucket_policy(Bucket=source, Policy=_deny(source, "s3:GetObject", Condition=by_name))
    client = gateway.client()
    copy = {"Bucket": other, "Key": "copy"}

    def is_refused() -> bool:
        try:
            client.copy_object(**copy, CopySource={"Bucket": source, "Key": "k"})
        except ClientError as error:
            return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] == 403)
        return False

    wait_until(is_refused, seconds=10, what="the policy of the source at the gateway")
    client.copy_object(**copy, CopySource={"Bucket": other, "Key": "k"})
    direct.delete_bucket_policy(Bucket=source)


@pytest.mark.slow
@pytest.mark.parametrize(("allow", "status"), [(False, 503), (True, 200)], ids=["refused", "allowed"])
def test_what_happens_while_policies_can_not_be_read(
    store: S3Server, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory, allow: bool, status: int
) -> None:
    bucket = f"own-unread-{store.name}-{status}"
    store.client().create_bucket(Bucket=bucket)
    gateway = Gateway(
        tmp_path_factory.mktemp("unread"),
        authority,
        store,
        rules=[{"name": "rest", "buckets": ["*"], "mode": "none"}],
        # The client's own secret is not the server's.
        options=_bucket_policies(store, "env:SEALGATE_LAB_CLIENT_SECRET", allow_when_unavailable=allow),
    )
    gateway.start()
    try:
        client = gateway.client(retries={"max_attempts": 0})
        if allow:
            client.put_object(Bucket=bucket, Key="k", Body=b"x")
        else:
            found = fails(lambda: client.put_object(Bucket=bucket, Key="k", Body=b"x"))
            assert found == (503, "ServiceUnavailable", "The policy of the bucket can not be read at present.")
        assert gateway.metric("sealgate_bucket_policy_reads_total", result="failed") >= 1
        assert client.list_buckets()["Buckets"]
    finally:
        gateway.stop()
