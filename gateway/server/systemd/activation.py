"""Sockets that systemd listens on, and hands over at the start (sd_listen_fds(3)).

They stay systemd's, too: who connects while no gateway runs waits in the kernel for the next one.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

FIRST = 3
"""The file descriptor of the first one; the others follow it."""
MOST = 2048
MOST_CONNECTIONS = 2000
"""So many of them may be connections that an earlier process has left."""
OPERATORS = "admin"
"""The name (``FileDescriptorName=``) of those for operators; all others are for clients."""
CONNECTION = "kept"
"""The name of clients' connections that an earlier process has left (``FDSTORE=1``)."""
_TCP = {socket.AF_INET, socket.AF_INET6}
_PID, _COUNT, _NAMES = _VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


@dataclass(frozen=True, slots=True)
class Inherited:
    """Listening sockets of TCP, and connections on which no request is under way."""

    clients: Sequence[socket.socket] = ()
    operators: Sequence[socket.socket] = ()
    connections: Sequence[socket.socket] = ()


NOTHING = Inherited()


def inherited(environment: MutableMapping[str, str], pid: int, first: int = FIRST) -> Inherited:
    """The sockets that were handed to the process ``pid``, from the descriptor ``first`` on. The
    variables are taken out, so that no process that this one starts takes them for its own.

    Raises:
        OSError: what was handed over is of no use.
    """
    given = {name: environment.pop(name, "") for name in _VARIABLES}
    if given[_PID] != str(pid):
        return NOTHING
    count = _number(given[_COUNT])
    names = given[_NAMES].split(":") if given[_NAMES] else [""] * count
    if len(names) != count:
        raise _unusable(f"LISTEN_FDNAMES has {len(names)} names for {count} descriptors")
    clients: list[socket.socket] = []
    operators: list[socket.socket] = []
    connections: list[socket.socket] = []
    for number, name in enumerate(names, first):
        if name == CONNECTION:
            connections.append(_taken(number))
        else:
            (operators if name == OPERATORS else clients).append(_listening(number))
    return Inherited(clients, operators, [sock for sock in connections if _is_connected(sock)])


def _number(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MOST))
    if not is_number or int(text) > MOST:
        raise _unusable(f"LISTEN_FDS is no number up to {MOST}")
    return int(text)


def _taken(number: int) -> socket.socket:
    try:
        os.set_inheritable(number, False)
        return socket.socket(fileno=number)
    except OSError as failure:
        raise _unusable(f"descriptor {number}: {(failure.strerror or '').lower()}") from None


def _is_connected(sock: socket.socket) -> bool:
    """Tell whether a client is there, and close it if none is."""
    with suppress(OSError):
        if sock.family in _TCP and sock.getpeername():
            return True
    sock.close()
    return False


def _listening(number: int) -> socket.socket:
    sock = _taken(number)
    is_tcp = sock.family in _TCP and sock.type == socket.SOCK_STREAM
    if not is_tcp or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()
        raise _unusable(
            f"descriptor {number} is no listening TCP socket (ListenStream=, Accept=no)"
        )
    return sock


def _unusable(reason: str) -> OSError:
    return OSError(errno.EINVAL, f"what systemd handed over is of no use: {reason}")
