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


def children_of(pid: int) -> list[int]:
    """The process ids of its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return sorted(map(int, children.split()))


def workers_of(gateway: Process) -> list[int]:
    """The process ids of its workers."""
    return [pid for pid in children_of(gateway.running.pid) if not _is_zygote(pid)]


def zygote_of(gateway: Process) -> int:
    """The process id of what its workers are forked from."""
    [zygote] = filter(_is_zygote, children_of(gateway.running.pid))
    return zygote


def _is_zygote(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "gateway-zygote\n"
    except OSError:
        return False


def sockets_of(pid: int) -> list[str]:
    """The sockets that a process has open."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.append(str(path.readlink()))
    return [each for each in found if each.startswith("socket:")]


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
