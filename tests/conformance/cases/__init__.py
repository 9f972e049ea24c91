"""The cases, one file for each family of operations."""

from tests.conformance.case import Case
from tests.conformance.cases import (
    buckets,
    conditions,
    copies,
    identity,
    keys,
    listings,
    multipart,
    objects,
    refusals,
    uploads,
)

CASES: tuple[Case, ...] = (
    *buckets.CASES,
    *objects.CASES,
    *keys.CASES,
    *conditions.CASES,
    *uploads.CASES,
    *copies.CASES,
    *multipart.CASES,
    *listings.CASES,
    *identity.CASES,
    *refusals.CASES,
)
