"""Which connections the sweep looks at."""

from dataclasses import dataclass

import pytest

from gateway.server.limits import ConnectionTable
from tests.server.conftest import Start, eventually


@dataclass(eq=False)
class _Connection:
    name: str

    def sweep(self, now: float) -> None:
        del now

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass


class _Table(ConnectionTable):
    """With some connections, which are called by their numbers."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.all = [_Connection(str(number)) for number in range(count)]
        for connection in self.all:
            assert self.add(connection)

    def names_due(self, now: float) -> str:
        due = set(self.due(now))
        return "".join(connection.name for connection in self.all if connection in due)


def test_connections_that_rest_are_left_alone_until_their_time_is_over() -> None:
    table = _Table(4)
    assert table.names_due(0) == "0123"
    table.rest(table.all[1], 10)
    table.rest(table.all[3], 11)
    assert table.names_due(9.9) == "02"
    assert table.names_due(10) == "012"
    assert table.names_due(10) == "012", "it is looked at until it rests again"
    assert table.names_due(12) == "0123"


def test_one_that_rests_behind_another_comes_with_it() -> None:
    table = _Table(2)
    table.rest(table.all[0], 10)
    table.rest(table.all[1], 9.5)
    assert table.names_due(9.7) == ""
    assert table.names_due(10) == "01"


def test_what_happens_on_a_connection_wakes_it() -> None:
    table = _Table(2)
    table.rest(table.all[0], 10)
    table.wake(table.all[0])
    table.wake(table.all[1])
    assert table.names_due(1) == "01"


def test_one_that_rests_again_rests_longer() -> None:
    table = _Table(1)
    table.rest(table.all[0], 10)
    table.rest(table.all[0], 20)
    assert table.names_due(15) == ""


@pytest.mark.parametrize("resting", [True, False])
def test_connections_that_rest_are_connections(resting: bool) -> None:
    table = _Table(2)
    if resting:
        table.rest(table.all[0], 10)
    assert len(table) == 2
    assert set(table.snapshot()) == set(table.all)
    assert not table.add(_Connection("one too many"))
    table.discard(table.all[0])
    assert table.snapshot() == (table.all[1],)
    table.wake(table.all[0])
    assert len(table) == 1, "one that ended does not come back"
    assert table.names_due(20) == "1"


@pytest.mark.parametrize("stirred", ["by the client", "by the end"])
def test_an_idle_connection_rests_until_something_happens(start: Start, stirred: str) -> None:
    running = start()
    client = running.connect()
    client.request("/read")
    table = running.worker._serving.table

    def watched() -> int:
        return len(running.call(lambda: table.due(0.0)))

    eventually(lambda: watched() == 0)
    assert len(table) == 1
    if stirred == "by the client":
        client.send(b"GET /")
        eventually(lambda: watched() == 1)
    else:
        (connection,) = running.call(table.snapshot)

        def finish() -> int:
            connection.finish()
            return len(table.due(0.0))

        assert running.call(finish) == 1
