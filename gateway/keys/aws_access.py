"""Calls one AWS service in one Region through boto3, in a few threads of its own.

One call is one HTTP request: botocore's own repetitions are switched off, because asking again, limiting and counting
happen around providers. What a service refuses becomes a :class:`~gateway.errors.KeyUnavailable` here and nowhere else.
boto3 takes 10 MiB of memory, so it is imported when there is a service to call.

Source: AWS KMS API Reference, "Common Errors" and the errors of each operation; AWS Secrets Manager API Reference.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, local
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.metering import NotAsked
from gateway.redact import SecretStr

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from botocore.exceptions import ClientError

#: boto3 makes its clients at run time from data files; there is no class to name.
AwsClient: TypeAlias = Any
ServiceName = Literal["kms", "secretsmanager"]

DEFAULT_TIMEOUT_SECONDS: Final = 3.0
#: Requests to one service at the same time; more wait for a thread.
THREADS: Final = 8
#: How long a call waits for a thread and its answer, as a multiple of the time-out of a request.
_PATIENCE: Final = 3

_THROTTLED: Final = frozenset(
    {"ThrottlingException", "Throttling", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException",
     "LimitExceededException", "SlowDown", "RequestThrottled", "RequestThrottledException"}
)  # fmt: skip
_PASSING: Final = frozenset(
    {"KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException", "InternalFailure",
     "InternalServiceError", "InternalServiceErrorException", "InvalidNextTokenException", "ServiceUnavailable",
     "RequestTimeout"}
)  # fmt: skip
_CODES: Final[Mapping[str, str]] = {
    "NotFoundException": "KMS.NotFoundException",
    "ResourceNotFoundException": "KMS.NotFoundException",
    "DisabledException": "KMS.DisabledException",
    "KMSInvalidStateException": "KMS.KMSInvalidStateException",
    "InvalidKeyUsageException": "InvalidArgument",
    "InvalidParameterException": "InvalidArgument",
    "InvalidRequestException": "KMS.NotFoundException",  # Secrets Manager's: the secret is marked as deleted
    "ValidationException": "InvalidArgument",
    "InvalidArnException": "InvalidArgument",
}
_NAMES: Final[Mapping[ServiceName, str]] = {"kms": "AWS KMS", "secretsmanager": "AWS Secrets Manager"}


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """How one service is reached, and as whom.

    Attributes:
        region: the Region.
        endpoint_url: of a VPC endpoint or a compatible service; None for AWS's own.
        fips: whether AWS's endpoint with FIPS 140 validated cryptography is used.
        ca_bundle: PEM file of the authorities to trust instead of botocore's.
        access_key_id: together with ``secret_access_key``; both None for botocore's default chain.
        secret_access_key: see there.
        session_token: of temporary credentials.
        role_arn: a role that is assumed with these credentials, and again before it expires.
        external_id: what the role's trust policy may ask for.
        role_session_name: shown by CloudTrail.
        timeout_seconds: longest wait to connect, and for each piece of an answer.
        allow_plain_http: accepts an ``http://`` endpoint, over which data keys travel in clear.

    Raises:
        ConfigError: listing every fault.
    """

    region: str
    endpoint_url: str | None = None
    fips: bool = False
    ca_bundle: Path | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    role_arn: str | None = None
    external_id: SecretStr | None = None
    role_session_name: str = "sealgate"
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    allow_plain_http: bool = False

    def __post_init__(self) -> None:
        faults = []
        if self.endpoint_url is not None:
            url = urlsplit(self.endpoint_url)
            if url.scheme not in {"https", "http"} or not url.hostname or url.username or url.query or url.fragment:
                faults.append("the endpoint must look like https://host:port")
            if url.scheme == "http" and not self.allow_plain_http:
                faults.append("the endpoint must be https://, because data keys would travel in clear")
            if self.fips:
                faults.append("fips is for AWS's own endpoints; give the FIPS endpoint as the endpoint instead")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            faults.append("an access key id and its secret belong together")
        if self.timeout_seconds <= 0:
            faults.append("timeout_seconds must be greater than 0")
        if self.ca_bundle is not None and not self.ca_bundle.is_file():
            faults.append(f"CA bundle {self.ca_bundle}: there is no such file")
        if faults:
            raise ConfigError(tuple(faults))


class _GivenUp(Exception):
    """Nobody waits for the answer any more, so the request is not sent."""


class _Attempt:
    """One call on its way through a thread: it is sent, or given up before, never both."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._given_up = False
        self._sent = False

    @property
    def sent(self) -> bool:
        """Whether the service may have seen the request."""
        return self._sent

    def send(self) -> None:
        """Called at the last moment before the request leaves.

        Raises:
            _GivenUp: it must not.
        """
        with self._lock:
            if self._given_up:
                raise _GivenUp
            self._sent = True

    def give_up(self) -> None:
        """Nobody waits any more; what was not sent is not sent."""
        with self._lock:
            self._given_up = True


class AwsCaller:
    """Calls one service. Close it with :meth:`aclose`.

    Args:
        access: how it is reached.
        service: which one.
    """

    def __init__(self, access: AwsAccess, service: ServiceName) -> None:
        # Now, because it takes half a second, in which no request should have to wait.
        import boto3.session  # noqa: F401

        self.region = access.region
        self._access = access
        self._service = service
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"sealgate-{service}")
        self._client: AwsClient = None
        self._lock = Lock()
        self._here = local()

    async def call(self, operation: str, parameters: Mapping[str, object]) -> Mapping[str, Any]:
        """Make one request.

        Args:
            operation: boto3's name of it, such as ``generate_data_key``.
            parameters: boto3's parameters.

        A call that nobody waits for any more, because it took too long or was cancelled, is not sent afterwards.

        Raises:
            NotAsked: the request was not sent: no thread was free in time, or there are no credentials.
            KeyUnavailable: the service refused, did not answer, or sent what is no answer.
        """
        attempt = _Attempt()
        patience_seconds = _PATIENCE * self._access.timeout_seconds
        try:
            future = asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: self._called(attempt, operation, parameters)
            )
        except RuntimeError:
            raise NotAsked(str(self._fault("is not asked any more: the gateway is shutting down"))) from None
        try:
            # The thread can not be stopped: its own time-outs end it.
            outcome = await asyncio.wait_for(future, patience_seconds)
        except TimeoutError:
            attempt.give_up()  # now: whether it was sent must not change any more
            if not attempt.sent:
                raise NotAsked(str(self._fault(f"could not be asked within {patience_seconds:g} s"))) from None
            raise self._fault(f"did not answer within {patience_seconds:g} s") from None
        finally:
            attempt.give_up()
        if isinstance(outcome, KeyUnavailable):
            raise outcome if attempt.sent else NotAsked(str(outcome), code=outcome.code)
        return outcome

    async def aclose(self) -> None:
        """Make no further request. Those under way end by their time-outs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _called(
        self, attempt: _Attempt, operation: str, parameters: Mapping[str, object]
    ) -> Mapping[str, Any] | KeyUnavailable:
        from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

        self._here.attempt = attempt
        # Faults are returned, not raised: botocore's exceptions hold requests and answers, and would stay attached.
        try:
            method: Callable[..., Mapping[str, Any]] = getattr(self._ready_client(), operation)
            answer = method(**parameters)
        except _GivenUp:
            return self._fault("was not asked: nobody waits for the answer")
        except ClientError as error:
            return self._refused(error)
        except (ConnectTimeoutError, ReadTimeoutError):
            return self._fault("did not answer in time")
        except BotoCoreError as error:
            return self._fault(f"can not be asked ({type(error).__name__})")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            # What is no answer fails anywhere in botocore's parsers.
            return self._fault(f"sent what is no answer ({type(error).__name__})")
        return answer if isinstance(answer, dict) else self._fault("sent what is no answer")

    def _refused(self, error: "ClientError") -> KeyUnavailable:
        # What a broken service sends need not have the types that botocore promises.
        stated: object = error.response.get("Error", {}).get("Code")
        code = stated.rpartition("#")[2] if isinstance(stated, str) else ""
        status: object = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _THROTTLED or status == 429:
            return self._fault("wants fewer requests", code="SlowDown")
        if code in _PASSING or not isinstance(status, int) or status >= 500 or not code.isidentifier():
            return self._fault(f"is not well (HTTP {status})")
        return self._fault(f"refused: {code}", code=_CODES.get(code, "AccessDenied"))

    def _fault(self, what: str, code: str = "ServiceUnavailable") -> KeyUnavailable:
        return KeyUnavailable(f"{_NAMES[self._service]} in {self.region} {what}", code=code)

    def _ready_client(self) -> AwsClient:
        with self._lock:
            if self._client is None:
                self._client = _client(self._access, self._service)
                # Emitted between the signature, which may have to wait for credentials, and the request itself.
                self._client.meta.events.register("before-send", self._before_send)
            return self._client

    def _before_send(self, **_: object) -> None:
        self._here.attempt.send()


def _client(access: AwsAccess, service: ServiceName) -> AwsClient:
    from boto3.session import Session
    from botocore.config import Config

    session = Session(
        aws_access_key_id=access.access_key_id,
        aws_secret_access_key=None if access.secret_access_key is None else access.secret_access_key.reveal(),
        aws_session_token=None if access.session_token is None else access.session_token.reveal(),
        region_name=access.region,
    )
    settings = Config(
        connect_timeout=access.timeout_seconds,
        read_timeout=access.timeout_seconds,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=THREADS,
        tcp_keepalive=True,
        user_agent_extra="sealgate",
    )
    if access.role_arn is not None:
        session = _in_role(session, access, settings)
    if access.fips:
        settings = settings.merge(Config(use_fips_endpoint=True))
    verify = None if access.ca_bundle is None else str(access.ca_bundle)
    return session.client(service, endpoint_url=access.endpoint_url, config=settings, verify=verify)


def _in_role(session: "Session", access: AwsAccess, settings: "Config") -> "Session":
    from boto3.session import Session
    from botocore.credentials import DeferredRefreshableCredentials, create_assume_role_refresher

    parameters = {"RoleArn": access.role_arn, "RoleSessionName": access.role_session_name}
    if access.external_id is not None:
        parameters["ExternalId"] = access.external_id.reveal()
    refresher = create_assume_role_refresher(session.client("sts", config=settings), parameters)
    assumed = Session(region_name=access.region)
    assumed._session._credentials = DeferredRefreshableCredentials(refresher, "assume-role")  # type: ignore[attr-defined]  # noqa: SLF001 - botocore has no public way
    return assumed
