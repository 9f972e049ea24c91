"""Who may speak to the gateway, and as whom it speaks to the store."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.process import wait_until
from lab.s3_server import Credentials
from lab.seaweed import SeaweedFS
from tests.e2e.stage import SSE_C, Stage, fails, logged
from tests.e2e.wire import Answer, ask, send, signed_fields

_TOKEN = "a-session-token-of-the-lab"  # made up


class People:
    """A gateway with several clients.

    Attributes:
        owner: speaks as the store's first user.
        other: speaks as the store's second user.
        temporary: must send a session token too.
    """

    def __init__(self, gateway: Gateway, owner: Credentials, other: Credentials, temporary: Credentials) -> None:
        self.gateway = gateway
        self.owner = owner
        self.other = other
        self.temporary = temporary

    def ask(self, credentials: Credentials, method: str, target: str, **options: Any) -> Answer:
        return ask(self.gateway.endpoint, self.gateway.ca_file, credentials, method, target, **options)


@pytest.fixture(scope="module", params=[False, True], ids=["sigv4-only", "sigv2-allowed"])
def sigv2(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def people(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, seaweed: SeaweedFS, sigv2: bool
) -> Iterator[People]:
    directory = tmp_path_factory.mktemp("people")
    clients = [
        Credentials("SEALGATEOWNER0000001"),
        Credentials("SEALGATEOTHER0000001"),
        Credentials("SEALGATETEMP00000001"),
    ]
    store = [seaweed.credentials, seaweed.other_credentials, seaweed.credentials]

    def secret(name: str, value: str) -> str:
        (directory / name).write_text(value)
        return f"file:{directory / name}"

    identities: list[dict[str, Any]] = [
        {
            "name": f"person-{number}",
            "access_key_id": client.access_key,
            "secret_access_key": secret(f"client-{number}", client.secret_key),
            "upstream_credentials": {
                "kind": "static",
                "access_key_id": user.access_key,
                "secret_access_key": secret(f"store-{number}", user.secret_key),
            },
        }
        for number, (client, user) in enumerate(zip(clients, store, strict=True))
    ]
    identities[2]["session_token"] = secret("token", _TOKEN)
    gateway = Gateway(
        directory / "gateway", authority, seaweed, rules=[{"name": "rest", "buckets": ["*"], "mode": "sse-s3"}],
        options={"identities": identities, "authentication": {"allow_signature_v2": sigv2}},
        credentials=clients[0],
    )  # fmt: skip
    seaweed.client().create_bucket(Bucket=f"e2e-people-{sigv2}".lower())
    gateway.start()
    yield People(gateway, *clients)
    gateway.stop()


@pytest.fixture
def bucket(sigv2: bool) -> str:
    return f"e2e-people-{sigv2}".lower()


def test_each_client_speaks_to_the_store_as_its_own_user(people: People, seaweed: SeaweedFS, bucket: str) -> None:
    owner, other = people.gateway.client(people.owner), people.gateway.client(people.other)
    assert owner.list_buckets()["Owner"] == seaweed.client().list_buckets()["Owner"]
    assert other.list_buckets()["Owner"] == seaweed.client(seaweed.other_credentials).list_buckets()["Owner"]
    assert other.list_buckets()["Owner"] != owner.list_buckets()["Owner"]
    for client in (owner, other):
        client.put_object(Bucket=bucket, Key="owned", Body=b"x")
    for name in ("person-0", "person-1"):
        assert logged(people.gateway, object_key="owned", identity=name)["status"] == 200


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (lambda people: Credentials("NOBODY00000000000001"), "InvalidAccessKeyId"),
        (lambda people: Credentials(people.owner.access_key), "SignatureDoesNotMatch"),
        (lambda people: Credentials(people.owner.access_key, people.other.secret_key), "SignatureDoesNotMatch"),
    ],
    ids=["unknown", "wrong-secret", "somebody-elses-secret"],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_a_client_that_is_not_who_it_says_is_refused(
    people: People, bucket: str, method: str, credentials: Any, code: str
) -> None:
    before = people.gateway.metric("sealgate_auth_failures_total", code=code)
    answer = people.ask(credentials(people), method, f"/{bucket}/x", body=b"x" if method == "PUT" else b"")
    assert answer.status == 403
    assert method == "HEAD" or answer.code == code
    assert people.gateway.metric("sealgate_auth_failures_total", code=code) == before + 1


@pytest.mark.parametrize(("minutes", "accepted"), [(-14, True), (14, True), (-16, False), (16, False), (-600, False)])
def test_a_clients_clock_may_be_a_quarter_of_an_hour_wrong(
    people: People, bucket: str, minutes: int, accepted: bool
) -> None:
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    answer = people.ask(people.owner, "PUT", f"/{bucket}/clock", body=b"x", now=now)
    assert (answer.status, answer.code) == ((200, None) if accepted else (403, "RequestTimeTooSkewed"))


@pytest.mark.parametrize(
    ("person", "token", "status"),
    [("temporary", _TOKEN, 200), ("temporary", None, 403), ("temporary", "another", 400), ("owner", _TOKEN, 400)],
)
def test_a_session_token_goes_with_the_key_that_it_belongs_to(
    people: People, bucket: str, person: str, token: str | None, status: int
) -> None:
    credentials: Credentials = getattr(people, person)
    answer = people.ask(credentials, "PUT", f"/{bucket}/token", body=b"x", session_token=token)
    if status == 200:
        assert answer.status == 200
    else:
        assert answer.status in {400, 403}
        assert answer.code in {"InvalidToken", "AccessDenied", "InvalidAccessKeyId"}
    assert _TOKEN not in people.gateway.log_file.read_text(errors="replace")


def test_signature_version_2_is_verified_where_it_is_allowed_and_refused_elsewhere(
    people: People, bucket: str, sigv2: bool
) -> None:
    old = people.gateway.client(people.owner, signature_version="s3")
    wrong = people.gateway.client(Credentials(people.owner.access_key), signature_version="s3")
    if sigv2:
        old.put_object(Bucket=bucket, Key="old signature", Body=b"x")
        assert old.get_object(Bucket=bucket, Key="old signature")["Body"].read() == b"x"
        assert fails(lambda: wrong.get_object(Bucket=bucket, Key="old signature"))[1] == "SignatureDoesNotMatch"
        return
    status, code, message = fails(lambda: old.put_object(Bucket=bucket, Key="x", Body=b"x"))
    assert (status, code) == (400, "InvalidRequest")
    assert "AWS4-HMAC-SHA256" in message


def test_presigned_links_of_version_2_follow_the_same_option(people: People, bucket: str, sigv2: bool) -> None:
    people.gateway.client(people.owner).put_object(Bucket=bucket, Key="linked", Body=b"x")
    old = people.gateway.client(people.owner, signature_version="s3")
    link = old.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "linked"})
    assert "X-Amz-Algorithm" not in link
    with urllib3.PoolManager(ca_certs=str(people.gateway.ca_file)) as http:
        assert http.request("GET", link).status == (200 if sigv2 else 400)


def test_presigned_links_end(people: People, bucket: str) -> None:
    client = people.gateway.client(people.owner, signature_version="s3v4")
    client.put_object(Bucket=bucket, Key="short lived", Body=b"x")
    link = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "short lived"}, ExpiresIn=1)
    with urllib3.PoolManager(ca_certs=str(people.gateway.ca_file)) as http:
        wait_until(lambda: http.request("GET", link).status == 403, seconds=10, what="the end of a link")
        answer = http.request("GET", link)
        assert b"<Code>AccessDenied</Code>" in answer.data
        assert b"Request has expired" in answer.data
        week = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "short lived"}, ExpiresIn=604_801)
        assert b"<Code>AuthorizationQueryParametersError</Code>" in http.request("GET", week).data


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE", "POST"])
def test_anonymous_requests_are_refused(people: People, bucket: str, method: str) -> None:
    gateway = people.gateway
    answer = send(gateway.endpoint, gateway.ca_file, method, f"/{bucket}/x", body=b"x" if method == "PUT" else b"")
    assert answer.status in {400, 403, 405, 411, 412}
    assert method in {"HEAD", "POST"} or (answer.status, answer.code) == (403, "AccessDenied")


def test_a_signature_that_leaves_a_header_out_is_refused(people: People, bucket: str) -> None:
    """Every x-amz header has to be signed, or a middleman could add an encryption of its own."""
    gateway = people.gateway
    fields = signed_fields(gateway.endpoint, people.owner, "PUT", f"/{bucket}/added", {}, b"x")
    fields["x-amz-server-side-encryption"] = "AES256"
    answer = send(gateway.endpoint, gateway.ca_file, "PUT", f"/{bucket}/added", headers=fields, body=b"x")
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_a_changed_body_is_refused_and_not_stored(people: People, bucket: str) -> None:
    gateway = people.gateway
    fields = signed_fields(gateway.endpoint, people.owner, "PUT", f"/{bucket}/changed", {}, b"original")
    answer = send(gateway.endpoint, gateway.ca_file, "PUT", f"/{bucket}/changed", headers=fields, body=b"replaced")
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert people.ask(people.owner, "HEAD", f"/{bucket}/changed").status == 404


def test_a_preflight_of_a_browser_passes(stage: Stage) -> None:
    bucket = stage.bucket(SSE_C)
    rule = {"AllowedMethods": ["PUT"], "AllowedOrigins": ["https://app.example.com"], "AllowedHeaders": ["*"]}
    stage.client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    answer = send(
        stage.gateway.endpoint,
        stage.gateway.ca_file,
        "OPTIONS",
        f"/{bucket}/x",
        headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": "PUT"},
    )
    direct = send(
        stage.store.endpoint,
        stage.store.ca_file,
        "OPTIONS",
        f"/{bucket}/x",
        headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": "PUT"},
    )
    assert answer.status == direct.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == direct.headers["Access-Control-Allow-Origin"]
