"""sd_listen_fds(3): which descriptors are taken, and what becomes of the variables."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from gateway.server.systemd.activation import NOTHING, Inherited, inherited

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = 700
OTHERS = {"PATH": "/bin"}


def given(count: object, names: str | None = None, pid: object = "1") -> dict[str, str]:
    named = {} if names is None else {"LISTEN_FDNAMES": names}
    return {**OTHERS, "LISTEN_PID": str(pid), "LISTEN_FDS": str(count), **named}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def handed_over(stack: ExitStack, *sockets: socket.socket) -> list[int]:
    """Their descriptors, inheritable and one after the other from ``FIRST`` on."""
    numbers = []
    for number, sock in enumerate(sockets, FIRST):
        with sock:
            os.dup2(sock.fileno(), number)
        stack.callback(close, number)
        numbers.append(number)
    return numbers


def close(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        return


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_sockets_are_told_apart_by_their_names(stack: ExitStack) -> None:
    environment = given(3, "web:admin:other.socket")
    numbers = handed_over(stack, *(listening() for _ in range(3)))
    found = inherited(environment, 1, FIRST)
    taken = [*found.clients, *found.operators]
    assert [sock.fileno() for sock in taken] == [FIRST, FIRST + 2, FIRST + 1]
    assert environment == OTHERS
    for number in numbers:
        assert fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    for sock in taken:
        sock.close()


def test_sockets_without_names_are_for_clients(stack: ExitStack) -> None:
    handed_over(stack, listening(), listening())
    found = inherited(given(2), 1, FIRST)
    assert [sock.fileno() for sock in found.clients] == [FIRST, FIRST + 1]
    assert found.operators == []
    for sock in found.clients:
        sock.close()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        given(1, pid=2),
        given(1, pid=""),
        {"LISTEN_FDS": "1"},
        given("x", pid=2),
    ],
)
def test_nothing_is_taken_that_was_meant_for_another_process(environment: dict[str, str]) -> None:
    environment |= OTHERS
    assert inherited(environment, 1, FIRST) == NOTHING
    assert environment == OTHERS


def test_nothing_is_there_where_none_are_handed_over() -> None:
    assert inherited(given(0), 1, FIRST) == Inherited([], [], [])


def test_connections_that_were_left_are_taken_while_the_client_is_there(stack: ExitStack) -> None:
    listener = stack.enter_context(listening())
    client = stack.enter_context(socket.create_connection(listener.getsockname()))
    left, _ = listener.accept()
    gone = socket.socket()
    unix, other = socket.socketpair()
    stack.enter_context(other)
    handed_over(stack, listening(), left, gone, unix)
    found = inherited(given(4, "web:kept:kept:kept"), 1, FIRST)
    assert [sock.fileno() for sock in found.clients] == [FIRST]
    [connection] = found.connections
    assert connection.getpeername() == client.getsockname()
    assert not connection.get_inheritable()
    for sock in (*found.clients, connection):
        sock.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(FIRST + 2)


@pytest.mark.parametrize("count", ["", "-1", "x", "2049", "1" * 5000, "\u0661"])
def test_number_that_is_none_is_told(count: str) -> None:
    environment = given(count)
    with pytest.raises(OSError, match="LISTEN_FDS is no number up to 2048"):
        inherited(environment, 1, FIRST)
    assert environment == OTHERS


def test_names_for_other_descriptors_are_told() -> None:
    with pytest.raises(OSError, match="LISTEN_FDNAMES has 2 names for 1 descriptors"):
        inherited(given(1, "a:b"), 1, FIRST)


def test_descriptor_that_is_not_open_is_told() -> None:
    with pytest.raises(OSError, match="descriptor 700: bad file descriptor"):
        inherited(given(1), 1, FIRST)


def test_descriptor_that_is_no_socket_is_told(stack: ExitStack) -> None:
    with open(os.devnull) as file:
        os.dup2(file.fileno(), FIRST)
    stack.callback(close, FIRST)
    with pytest.raises(OSError, match="descriptor 700: "):
        inherited(given(1), 1, FIRST)


@pytest.mark.parametrize(
    "made",
    [
        lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    ],
    ids=["not listening", "datagrams", "Unix"],
)
def test_socket_of_another_sort_is_told_and_left_open(made: object, stack: ExitStack) -> None:
    assert callable(made)
    handed_over(stack, made())
    with pytest.raises(OSError, match="no listening TCP socket"):
        inherited(given(1), 1, FIRST)
    os.fstat(FIRST)
