"""Ports of the laboratory: free, and never the same in two programs."""

import socket
import subprocess
import sys

import pytest

from lab.binaries import LabError
from lab.ports import accepts_connections, free_port, free_ports

_CHOOSE = "from lab.ports import free_ports; print(*free_ports(int({count})), flush=True); input()"


def _program(count: int) -> tuple[subprocess.Popen[str], set[int]]:
    """A program that chose so many ports and lives until its input ends; the ports."""
    program = subprocess.Popen(
        [sys.executable, "-c", _CHOOSE.format(count=count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    return program, {int(port) for port in program.stdout.readline().split()}


def test_free_ports_are_different_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert not any(accepts_connections(port) for port in ports)


def test_a_port_is_not_chosen_again_soon() -> None:
    assert len({free_port() for _ in range(100)}) == 100


def test_a_port_in_use_is_passed_over() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert port not in {free_port() for _ in range(250)}
    assert port in {free_port() for _ in range(250)}


def test_programs_choose_different_ports() -> None:
    chosen = [_program(100) for _ in range(3)]
    try:
        ports = [port for _, of_program in chosen for port in of_program] + free_ports(100)
        assert len(ports) == len(set(ports)) == 400
    finally:
        for program, _ in chosen:
            program.communicate("\n", timeout=10)


def test_more_ports_than_there_are_is_an_error() -> None:
    with pytest.raises(LabError, match=r"^200 free ports are not there: \d+ of 199 are free$"):
        free_ports(200)
