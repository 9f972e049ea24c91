"""The differential suite: the same requests straight to the server and through the gateway give the same answers."""

from collections.abc import Sequence

import pytest

from lab.s3_server import S3Server
from tests.conformance.case import Case
from tests.conformance.cases import CASES
from tests.conformance.comparison import Outcome, differing
from tests.conformance.differences import DIFFERENCES, Difference, differences_of
from tests.conformance.sides import Side


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_gateway_answers_as_the_server_does(
    case: Case, server: S3Server, mode: str, sides: tuple[Side, Side]
) -> None:
    """Status, header fields that matter and body are the same, but for the listed differences, which are as listed."""
    for side in sides:
        side.prepare(case.world)
    direct, through = (side.run_case(case) for side in sides)
    known = differences_of(server.name, mode, case.name)
    unexplained, seen = _judged(case, direct, through, known)
    assert not unexplained, "\n".join(unexplained)
    required = {difference.title for difference in known if difference.required}
    assert required <= seen, "a listed difference is not seen any more"
    expected = {difference.answer_to(case.name) for difference in known} - {None}
    if expected:
        assert {_first_other_answer(direct, through)} == expected


def test_cases_have_names_of_their_own() -> None:
    """Buckets and ids are named after cases."""
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


def test_listed_differences_name_cases_that_exist() -> None:
    """A pattern that fits no case explains nothing."""
    for difference in DIFFERENCES:
        for server, patterns in difference.cases.items():
            for pattern in patterns:
                one = Difference("", "", {server: (pattern,)})
                assert any(one.is_about(server, "none", case.name) for case in CASES), f"{difference.title}: {pattern}"


def _judged(
    case: Case, direct: Sequence[Outcome], through: Sequence[Outcome], known: Sequence[Difference]
) -> tuple[list[str], set[str]]:
    """What nothing explains, and the titles of the differences that were seen."""
    unexplained, seen = [], set()
    for number, (step, left, right) in enumerate(zip(case.steps, direct, through, strict=True), 1):
        for part, (said, answered) in differing(left, right).items():
            reasons = {difference.title for difference in known if difference.covers(part, said, answered)}
            seen |= reasons
            if not reasons:
                place = f"step {number} {step.method} {step.target}"
                unexplained.append(f"{place}\n  {part}\n    server:  {said}\n    gateway: {answered}")
    return unexplained, seen


def _first_other_answer(direct: Sequence[Outcome], through: Sequence[Outcome]) -> str:
    """The gateway's first answer whose status or code is not the server's."""
    return next(_answer(right) for left, right in zip(direct, through, strict=True) if _answer(left) != _answer(right))


def _answer(outcome: Outcome) -> str:
    """Status and code."""
    return f"{outcome.parts['status']} {outcome.parts.get('Error/Code', '')}".strip()
