"""Processes that are measured: started, counted, stopped. Linux only: figures come from /proc."""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 30.0
STOP_SECONDS = 5.0
MOST_FILES = 65536


def allow_many_files() -> None:
    """Let this process, and those that it starts, have as many connections as it takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class DidNotStart(Exception):
    """A server did not take connections in time; the message says what it printed."""


class Process:
    """A running server, with all the processes it started."""

    def __init__(self, popen: subprocess.Popen[bytes], port: int, scheme: str = "http") -> None:
        self._popen = popen
        self.port = port
        self.scheme = scheme

    @property
    def family(self) -> list[int]:
        """Its process id and those of its descendants."""
        found = [self._popen.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
                found.extend(map(int, children.split()))
        return found

    def keep_to(self, cores: set[int]) -> None:
        """Let all its threads run on these only."""
        for pid in self.family:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores)

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return sum(map(_cpu_ticks, self.family)) / TICKS

    def resident_bytes(self) -> int:
        return sum(_status_bytes(pid, "VmRSS") for pid in self.family)

    def peak_bytes(self) -> int:
        """The most that was resident since ``forget_peak``."""
        return sum(_status_bytes(pid, "VmHWM") for pid in self.family)

    def forget_peak(self) -> None:
        for pid in self.family:
            Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")

    @property
    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait(STOP_SECONDS)

    def stop(self) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


@contextlib.contextmanager
def running(
    command: Sequence[str],
    port: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
    scheme: str = "http",
) -> Iterator[Process]:
    """Run a server that listens on ``port``; what it prints to stdout and stderr goes to ``log``.

    Raises:
        DidNotStart: it ended, or takes no connections.
    """
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    process = Process(popen, port, scheme)
    try:
        _wait_until_open(process, log)
        yield process
    finally:
        process.stop()


def free_port() -> int:
    """A port that no client's connection can take before its server does.

    Below the ephemeral ones, so that also ``connect`` cannot meet itself there.
    """
    for _ in range(1000):
        port = random.randrange(10_000, 32_000)  # noqa: S311 - no secret
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            return port
    raise DidNotStart("no port is free")


def _wait_until_open(process: Process, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and not process.has_ended:
        try:
            socket.create_connection(("127.0.0.1", process.port), 1).close()
        except OSError:
            time.sleep(0.02)  # noqa: TID251 - there is no event loop here
        else:
            return
    ended = "ended at once" if process.has_ended else f"not open after {START_SECONDS:g} s"
    raise DidNotStart(f"{ended}: {log.read_text('utf-8', 'replace')[-500:].strip()}")


def _cpu_ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _status_bytes(pid: int, name: str) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return 0
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
