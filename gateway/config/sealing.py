"""Options of client-side encryption (mode ``cse``): data keys, and the staging store."""

import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field

from gateway.config.identities import UpstreamCredentials
from gateway.config.values import Seconds, Section

#: Source: Amazon S3 User Guide, "General purpose bucket naming rules".
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/-]{0,512}")


def _location(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.query or parts.fragment or "\0" in unquote(value):
        parts = urlsplit("")
    if parts.scheme == "file" and not parts.netloc and parts.path.strip("/"):
        return value
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc) and _PREFIX.fullmatch(parts.path):
        return value.rstrip("/")
    raise ValueError("a place is needed, either file:///absolute/directory or s3://bucket/prefix")


StagingLocation = Annotated[str, AfterValidator(_location)]


class DataKeys(Section):
    """How much one data key seals, and how long any is held in memory."""

    maximum_age_seconds: Seconds = Field(
        default=300.0,
        description="Longest time a data key is used after its provider was asked, and an opened one is held.",
    )
    maximum_messages: Annotated[int, Field(ge=1, le=2**32)] = Field(
        default=10_000, description="Most objects and parts sealed with one data key; 1 gives every one its own."
    )
    maximum_bytes: Annotated[int, Field(ge=1, le=2**50)] = Field(
        default=2**40, description="Most bytes sealed with one data key; what is larger gets a data key of its own."
    )


class Staging(Section):
    """Where sealed last parts below 5 MiB are kept until their upload is completed."""

    location: StagingLocation = Field(
        default="file:///var/lib/sealgate/staging",
        description="`file:///directory` for the workers of one machine, `s3://bucket/prefix` at the upstream for "
        "several replicas.",
    )
    upstream_credentials: UpstreamCredentials | None = Field(
        default=None,
        description="What requests to an `s3://` location are signed with: it may read, write, list, delete.",
    )
    maximum_age_seconds: Annotated[float, Field(ge=60, le=31_536_000)] = Field(
        default=604_800.0,
        description="Age at which what was staged is removed: longer than any upload takes.",
    )

    @property
    def directory(self) -> str | None:
        """The directory of a ``file://`` location."""
        parts = urlsplit(self.location)
        return unquote(parts.path) if parts.scheme == "file" else None

    @property
    def bucket_and_prefix(self) -> tuple[str, str] | None:
        """Bucket and prefix of an ``s3://`` location."""
        parts = urlsplit(self.location)
        return (parts.netloc, parts.path.strip("/")) if parts.scheme == "s3" else None

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together."""
        if (self.bucket_and_prefix is None) != (self.upstream_credentials is None):
            needed = "has a meaning for s3:// only" if self.directory else "must be set for an s3:// location"
            yield "upstream_credentials", needed
