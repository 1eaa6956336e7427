"""Tells the service manager how this process is (sd_notify(3)): a datagram for each change."""

from __future__ import annotations

import logging
import socket
import time
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.server.systemd.activation import CONNECTION, MOST_CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_log = logging.getLogger(__name__)
SEND_SECONDS = 0.5
"""How long a manager that takes nothing is waited for."""
STATUS_CHARACTERS = 500
_AT_ONCE = 250
"""Descriptors in a message; Linux takes 253."""


class Notifier:
    """``address``: of the manager's socket as NOTIFY_SOCKET has it, a path or, behind an ``@``, an
    abstract name; nobody is told where it is empty. ``clock`` gives monotonic nanoseconds.
    """

    def __init__(self, address: str, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._clock = clock
        self._has_failed = False

    def ready(self, status: str) -> None:
        """Clients are answered."""
        self._send("READY=1", _status(status))

    def stopping(self, status: str, seconds: float) -> None:
        """The end has begun, and takes so long at most."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}", _status(status))

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Within the block settings and files are read again."""
        # The manager tells by the time which of several signals is meant.
        self._send("RELOADING=1", f"MONOTONIC_USEC={self._clock() // 1000}")
        try:
            yield
        finally:
            self._send("READY=1")

    def status(self, status: str) -> None:
        """Say how it is in words, for ``systemctl status``."""
        self._send(_status(status))

    def alive(self) -> None:
        """The watchdog may wait on."""
        self._send("WATCHDOG=1")

    def store(self, descriptors: Sequence[int]) -> int:
        """Leave the first of them to the next process of this service; of how many the manager was
        told. It keeps as many as it has room for (``FileDescriptorStoreMax=``).
        """
        left = descriptors[:MOST_CONNECTIONS]
        for at in range(0, len(left), _AT_ONCE):
            batch = left[at : at + _AT_ONCE]
            if not self._send("FDSTORE=1", f"FDNAME={CONNECTION}", descriptors=batch):
                return at
        return len(left)

    def take_over(self) -> None:
        """Have the manager keep none of them any longer. It keeps those too that it has handed
        over, and while it does the end of a connection does not reach its client.
        """
        self._send("FDSTOREREMOVE=1", f"FDNAME={CONNECTION}")

    def _send(self, *lines: str, descriptors: Sequence[int] = ()) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(SEND_SECONDS)
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))
                ancillary = [rights] if descriptors else []
                sock.sendmsg(["\n".join(lines).encode()], ancillary, 0, self._address)
        except OSError as failure:
            if not self._has_failed:
                self._has_failed = True
                _log.warning("the service manager cannot be told: %s", failure)
            return False
        return True


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:STATUS_CHARACTERS]}"
