"""Every known difference between the server alone and the server behind the gateway, each with its reason.

A difference that is not listed here fails the suite, and so does one that is listed and not seen.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Difference:
    """One deliberate difference.

    Attributes:
        title: what differs; ``docs/s3-support.md`` has it in these words.
        reason: why it has to.
        seen: server -> case patterns -> parts that may differ (see ``comparison.Outcome``), as globs.
    """

    title: str
    reason: str
    seen: dict[str, dict[str, tuple[str, ...]]]


DIFFERENCES: tuple[Difference, ...] = ()


def allowed(server: str, case: str, part: str) -> bool:
    """Whether ``part`` of an answer may differ in ``case``."""
    return any(
        fnmatchcase(case, name) and any(fnmatchcase(part, pattern) for pattern in parts)
        for difference in DIFFERENCES
        for name, parts in difference.seen.get(server, {}).items()
    )
