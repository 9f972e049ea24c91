"""The differential suite: the same requests straight to the server and through the gateway give the same answers."""

import pytest

from lab.s3_server import S3Server
from tests.conformance.case import Case
from tests.conformance.cases import CASES
from tests.conformance.comparison import differing
from tests.conformance.differences import allowed
from tests.conformance.sides import Side


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_gateway_answers_as_the_server_does(case: Case, server: S3Server, sides: tuple[Side, Side]) -> None:
    """Status, header fields that matter and body are the same, but for the listed differences."""
    for side in sides:
        side.prepare(case.world)
    direct, through = (side.run_case(case) for side in sides)
    report = []
    for number, (step, left, right) in enumerate(zip(case.steps, direct, through, strict=True), 1):
        for part, (said, answered) in differing(left, right).items():
            if not allowed(server.name, case.name, f"{number}:{part}"):
                report.append(f"step {number} {step.method} {step.target}\n  {part}\n    server:  {said}\n    gateway: {answered}")
    assert not report, "\n".join(report)
