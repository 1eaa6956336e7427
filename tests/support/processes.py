"""Processes as Linux tells of them: whose they are, and whether they run."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.harness import Process


def workers_of(gateway: Process) -> list[int]:
    """The process ids of its workers."""
    pid = gateway.running.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return sorted(map(int, children.split()))


def sockets_of(pid: int) -> int:
    """How many sockets a process has open."""
    count = 0
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            count += str(path.readlink()).startswith("socket:")
    return count


def state(pid: int) -> str:
    """R, S, T (stopped), Z (ended)..., empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@asynccontextmanager
async def standing_still(pids: list[int]) -> AsyncIterator[None]:
    """Within the block these processes do not run."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        await until(lambda: all(state(pid) == "T" for pid in pids))
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
