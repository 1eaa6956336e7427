"""A child that this process has not made itself, and yet is the parent of.

    this process ──starts──▶ fork server ──forks──▶ middle ──forks──▶ child
         ▲                                            │ ends           │
         └────────── is its parent from then on ──────┴────────────────┘

A parent alone learns how a process has ended, and may be sure that its number still means that
process, until it has asked. So whoever wants children of a fork server for its own has to be who
adopts orphans.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PR_SET_CHILD_SUBREAPER = 36
"""Of Linux's sys/prctl.h."""
UNKNOWN_STATUS = 255
"""What asyncio has for a process whose end somebody else was told of."""


@contextmanager
def adopting_orphans(load: Callable[[None], Any] = ctypes.CDLL) -> Iterator[bool]:
    """Within the block this process is the parent of all descendants whose own one has ended
    (prctl(2)), and can tell the end of each (pidfd_open(2), since Linux 5.3). The value is whether
    this system lets it. ``load`` gives the C library.

    Who started this process may have it ignore the ends of children, and these as well; then nobody
    could await one.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
        control = load(None).prctl
    except (AttributeError, OSError):
        yield False
        return
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    yes, no = ctypes.c_ulong(1), ctypes.c_ulong(0)
    lets = control(_PR_SET_CHILD_SUBREAPER, yes, no, no, no) == 0
    try:
        yield lets
    finally:
        control(_PR_SET_CHILD_SUBREAPER, no, no, no, no)
        signal.signal(signal.SIGCHLD, handler)


def reap_group(group: int) -> bool:
    """Take the ends of those children in this process group that have ended; whether there are no
    others."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


class Child:
    """``pid`` is a child's that nobody else awaits; from here on it leads a process group.

    Raises:
        OSError: it cannot be watched, and was killed.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._loop = asyncio.get_running_loop()
        self._status: asyncio.Future[int] = self._loop.create_future()
        try:
            self._descriptor = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        with suppress(OSError):
            os.setpgid(pid, pid)
        self._loop.add_reader(self._descriptor, self._reap)

    async def wait(self) -> int:
        """Its exit status, or the negative signal."""
        return await asyncio.shield(self._status)

    def kill(self) -> None:
        """End it if it has not ended."""
        if not self._status.done():
            os.kill(self.pid, signal.SIGKILL)

    def _reap(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            self._status.set_result(UNKNOWN_STATUS)
        else:
            self._status.set_result(os.waitstatus_to_exitcode(status))
