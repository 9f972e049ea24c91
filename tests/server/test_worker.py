"""What a worker does beside serving."""

from tests.server.conftest import Start, eventually


def test_the_data_path_is_asked_to_look_for_changes(start: Start) -> None:
    running = start(policy_check_seconds=0.02)
    eventually(lambda: running.backend.looks > 2)
    assert running.backend.reloads == 0
    running.begin_stop()
    assert running.stopped.wait(5)


def test_a_reload_is_one_of_everything(start: Start) -> None:
    running = start()
    running.call(running.worker.reload)
    assert running.backend.reloads == 1
