"""Kinds of option values, each with the one sentence that a user reads when a value is not of that kind.

No message repeats the value it is about: somebody may have put a secret in the wrong place.
"""

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from gateway.errors import ConfigError
from gateway.keys.secret_reference import parse_reference
from gateway.keys.vault_settings import is_path


class Section(BaseModel):
    """One group of options: unknown options are faults, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Option (or empty) and message of whatever is fine by itself but does not fit together in this group."""
        yield from ()


_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_. -]{0,62}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ORIGIN = re.compile(r"[A-Za-z0-9.:\[\]_-]+")
_REGION_PLACEHOLDER = "{region}"
_STAND_IN = "region--placeholder"
_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
#: An access key id is ``[\w]{16,128}`` for IAM; other servers take shorter ones and further signs. It must not contain
#: ``/`` or ``,``, which separate the parts of a credential scope.
_ACCESS_KEY_ID = re.compile(r"[A-Za-z0-9_.@+=-]{3,128}")
#: Source: AWS Key Management Service Developer Guide, "Key identifiers (KeyId)".
_KMS_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
_VAULT_ROLE = re.compile(r"[A-Za-z0-9_.-]{1,256}")
#: Whom IAM knows: users, roles, sessions of roles, federated users, and accounts as a whole.
_PRINCIPAL_ARN = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:[A-Za-z0-9_+=,.@/-]{1,512}")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[A-Za-z0-9]*:role/[A-Za-z0-9_+=,.@/-]+")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "a name has 1 to 64 letters, digits, '_', '.', '-' or spaces, with a letter or digit at both ends"
        )
    return value


def _reference(value: str) -> str:
    try:
        parse_reference(value)
    except ConfigError as error:
        raise ValueError(error.faults[0]) from None
    return value


def _vault_path(value: str) -> str:
    if not is_path(value):
        raise ValueError("a path of plain segments is needed, such as team/storage")
    return value


def _vault_role(value: str) -> str:
    if not _VAULT_ROLE.fullmatch(value):
        raise ValueError("the name of a role is needed: letters, digits, '.', '_' or '-'")
    return value


def _address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError("an IP address is needed, such as 0.0.0.0, 127.0.0.1 or '::'") from None
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("a network is needed, such as 10.0.0.0/8, without bits set beyond its length") from None
    return value


def _absolute_path(value: str) -> str:
    if not value.startswith("/") or "\0" in value:
        raise ValueError("an absolute path is needed")
    return value


def _domain(value: str) -> str:
    if not _DOMAIN.fullmatch(value):
        raise ValueError("a domain name in lower case is needed, such as s3.example.com")
    return value


def _region(value: str) -> str:
    if not _REGION.fullmatch(value):
        raise ValueError("a region's name is needed, such as eu-central-1")
    return value


def _access_key_id(value: str) -> str:
    if not _ACCESS_KEY_ID.fullmatch(value):
        raise ValueError("an access key id has 3 to 128 letters, digits or '_', '.', '@', '+', '=', '-'")
    return value


def _kms_key_arn(value: str) -> str:
    if _KMS_KEY_ARN.fullmatch(value):
        return value
    if "alias/" in value:
        raise ValueError(
            "an alias is refused: S3 resolves it in the account of whoever sends the request, and it can be moved to "
            "another key unseen; give the full key ARN, 'arn:aws:kms:REGION:ACCOUNT:key/ID'"
        )
    raise ValueError("the full key ARN is needed, 'arn:aws:kms:REGION:ACCOUNT:key/ID' (a bare key id is not enough)")


def _role_arn(value: str) -> str:
    if not _ROLE_ARN.fullmatch(value):
        raise ValueError("a role's ARN is needed, 'arn:aws:iam::ACCOUNT:role/NAME'")
    return value


def _principal_arn(value: str) -> str:
    if not _PRINCIPAL_ARN.fullmatch(value):
        raise ValueError("a principal's ARN is needed, such as 'arn:aws:iam::ACCOUNT:user/NAME'")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("a URL is needed, such as https://host:port") from None
    # The form of the middle part also refuses a user name and password, which would be a secret in the configuration.
    if port == 0 or parts.scheme not in {"https", "http"} or not parts.hostname or not _ORIGIN.fullmatch(parts.netloc):
        raise ValueError("a URL is needed, such as https://host:port, without user name or password")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("the URL ends after host and port: no path, query or fragment")
    return value.rstrip("/").lower()


def _regional_url(value: str) -> str:
    if value.count(_REGION_PLACEHOLDER) > 1:
        raise ValueError(f"{_REGION_PLACEHOLDER} may stand in it once")
    return _url(value.replace(_REGION_PLACEHOLDER, _STAND_IN)).replace(_STAND_IN, _REGION_PLACEHOLDER)


#: Marks the options that take a reference to a secret.
_REFERENCE = AfterValidator(_reference)


def takes_reference(field: FieldInfo) -> bool:
    """Whether an option's value is a reference to a secret."""
    inner = (getattr(argument, "__metadata__", ()) for argument in get_args(field.annotation))
    return _REFERENCE in field.metadata or any(_REFERENCE in metadata for metadata in inner)


Name = Annotated[str, AfterValidator(_name)]
SecretReference = Annotated[str, _REFERENCE]
VaultPath = Annotated[str, AfterValidator(_vault_path)]
VaultRole = Annotated[str, AfterValidator(_vault_role)]
Address = Annotated[str, AfterValidator(_address)]
Network = Annotated[str, AfterValidator(_network)]
AbsolutePath = Annotated[str, AfterValidator(_absolute_path)]
Domain = Annotated[str, AfterValidator(_domain)]
Region = Annotated[str, AfterValidator(_region)]
AccessKeyId = Annotated[str, AfterValidator(_access_key_id)]
KmsKeyArn = Annotated[str, AfterValidator(_kms_key_arn)]
RoleArn = Annotated[str, AfterValidator(_role_arn)]
PrincipalArn = Annotated[str, AfterValidator(_principal_arn)]
Url = Annotated[str, AfterValidator(_url)]
#: A URL in which ``{region}`` may stand for the region.
RegionalUrl = Annotated[str, AfterValidator(_regional_url)]
#: What happens to a request that no policy is about.
PolicyDefault = Literal["allow", "deny"]
#: 0 lets the system choose a free port.
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
