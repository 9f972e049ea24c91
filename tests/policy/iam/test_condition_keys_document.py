"""docs/policies.md and the code know the same condition keys and actions."""

import re
from pathlib import Path

from gateway.policy.iam.actions import ASKED_ACTIONS
from gateway.policy.iam.condition_keys import _HEADER_OF_KEY, _READERS, is_supplied

_DOCUMENT = (Path(__file__).parents[3] / "docs" / "policies.md").read_text()


def _section(title: str) -> str:
    return _DOCUMENT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def _rows(title: str) -> list[str]:
    """The first column of the section's table."""
    return [line.split("|")[1] for line in _section(title).splitlines() if line.startswith("|")]


def test_every_key_that_a_request_can_have_is_in_the_document() -> None:
    told = {key.lower() for row in _rows("What a request has") for key in re.findall(r"`((?:s3|aws):[^`]+)`", row)}
    plain = {key for key in told if "/" not in key}
    assert plain == {*_READERS, *_HEADER_OF_KEY}
    assert {key for key in told if "/" in key} == {"s3:requestobjecttag/name", "aws:requesttag/name"}
    assert all(map(is_supplied, told))


def test_every_action_that_the_document_names_is_asked_for() -> None:
    named = set(re.findall(r"`(s3:[A-Za-z]+)`", _section("What a request asks for")))
    assert len(named) > 10
    assert named <= ASKED_ACTIONS
