"""Places, the line before them, and who is refused: whatever happens, no place is lost and none is given twice."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.admission import STARTS_PER_TURN, Admission


async def turns(count: int = 3) -> None:
    """Let the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_places_are_taken_and_given_back() -> None:
    admission = Admission(2, 10)
    assert [admission.enter() for _ in range(3)] == [True, True, False]
    admission.leave()
    assert admission.enter()
    assert admission.in_flight == 2


async def test_the_first_in_the_line_is_the_first_to_be_served() -> None:
    admission = Admission(1, 10)
    assert admission.enter()
    served: list[int] = []

    async def request(number: int) -> None:
        assert await admission.wait()
        served.append(number)
        await turns()
        admission.leave()

    requests = [asyncio.create_task(request(number)) for number in range(5)]
    await turns()
    assert not admission.enter(), "nobody overtakes"
    admission.leave()
    await asyncio.gather(*requests)
    assert served == [0, 1, 2, 3, 4]
    assert admission.in_flight == 0


async def test_nobody_overtakes_those_who_wait() -> None:
    admission = Admission(1, 10)
    assert admission.enter()
    waiting = asyncio.create_task(admission.wait())
    await turns()
    admission.leave()
    assert not admission.enter()
    assert await waiting


async def test_a_late_request_is_refused() -> None:
    admission = Admission(1, 0.02)
    assert admission.enter()
    assert await admission.wait() is False
    assert admission.in_flight == 1


async def test_everybody_is_refused_in_time_when_nothing_moves() -> None:
    """One in a turn, and turns are short."""
    admission = Admission(0, 0.02)
    begun = asyncio.get_running_loop().time()
    assert await asyncio.gather(*(admission.wait() for _ in range(500))) == [False] * 500
    assert asyncio.get_running_loop().time() - begun < 5


async def test_refusals_are_few_when_there_is_much_to_do() -> None:
    """Everybody is late, yet those who can be served are: one is refused for every turn full of starts."""
    admission = Admission(10_000, 0.0)
    for _ in range(STARTS_PER_TURN):
        assert admission.enter()
    answers = await asyncio.gather(*(admission.wait() for _ in range(1000)))
    refused = answers.count(False)
    assert 1 <= refused <= 1000 // STARTS_PER_TURN + 1
    assert admission.in_flight == STARTS_PER_TURN + 1000 - refused


async def test_a_request_that_was_read_late_is_refused_one_in_a_turn() -> None:
    admission = Admission(10_000, 2.0)
    assert [admission.refuses(seconds) for seconds in (0.0, 2.0, 2.1, 3.0)] == [False, False, True, False]
    await turns(1)
    assert [admission.refuses(seconds) for seconds in (3.0, 3.0)] == [True, False]
    assert admission.in_flight == 0
    assert not Admission(10_000, 0.0).refuses(0.0)  # what did not wait is not late


async def test_few_begin_in_one_turn() -> None:
    admission = Admission(10_000, 10)
    assert [admission.enter() for _ in range(STARTS_PER_TURN + 1)] == [True] * STARTS_PER_TURN + [False]
    await turns(1)
    assert admission.enter()


async def test_a_request_whose_client_left_gives_its_place_back() -> None:
    """Also when it left in the very turn in which it got the place."""
    admission = Admission(1, 10)
    assert admission.enter()
    leaving, staying = (asyncio.create_task(admission.wait()) for _ in range(2))
    await turns()
    admission.leave()
    await turns(1)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await staying
    assert admission.in_flight == 1


class _Requests:
    """What may happen to requests, and what must hold meanwhile."""

    def __init__(self, limit: int) -> None:
        self.admission = Admission(limit, 0.001)
        self.limit = limit
        self.served = 0
        self.waiting: list[asyncio.Task[bool]] = []

    async def step(self, what: str) -> None:
        match what:
            case "arrive":
                if self.admission.enter():
                    self.served += 1
                else:
                    self.waiting.append(asyncio.create_task(self.admission.wait()))
            case "leave" if self.served:
                self.served -= 1
                self.admission.leave()
            case "cancel" if self.waiting:
                task = self.waiting.pop(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                if not task.cancelled() and task.result():
                    self.served += 1
            case "time":
                await asyncio.sleep(0.002)
            case _:
                await turns(1)
        self.collect()
        assert 0 <= self.admission.in_flight <= self.limit

    def collect(self) -> None:
        self.served += sum(task.done() and task.result() for task in self.waiting)
        self.waiting = [task for task in self.waiting if not task.done()]


@given(
    st.integers(0, 4), st.lists(st.sampled_from(["arrive", "arrive", "leave", "cancel", "time", "turn"]), max_size=60)
)
def test_places_balance_whatever_happens(limit: int, steps: Sequence[str]) -> None:
    async def run() -> None:
        requests = _Requests(limit)
        for what in steps:
            await requests.step(what)
        # The end: everybody in the line is served or refused, and everybody who was served leaves.
        while requests.waiting or requests.served:
            await requests.step("leave")
            await asyncio.sleep(0)
        assert requests.admission.in_flight == 0

    asyncio.run(run())
