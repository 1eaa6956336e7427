"""A stand-in for systemd: it listens, starts gateways with its sockets, and is told by them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from tests.support.harness import PATIENCE_SECONDS, Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LOOK_SECONDS = 0.01
HANDING_OVER = """
import ctypes, fcntl, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)  # MemoryDenyWriteExecute=, on Linux 6.3 and newer
given, *command = sys.argv[1:]
moved = [fcntl.fcntl(int(number), fcntl.F_DUPFD_CLOEXEC, 100) for number in given.split(",")]
for number in given.split(","):
    os.set_inheritable(int(number), False)
for number, source in enumerate(moved, 3):
    os.dup2(source, number)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(command[0], command)
"""
"""What systemd does between fork and exec, its protection of memory included."""


class Told:
    """What processes tell their service manager, on a socket at ``path`` (``@``: abstract)."""

    def __init__(self, path: str) -> None:
        self.address = path
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self.stored: list[int] = []
        """The descriptors that came along."""
        self._sock.bind(f"\0{path[1:]}" if path.startswith("@") else path)

    async def next(self) -> dict[str, str]:
        """The next message: the assignments in it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (message := next(self.all(), None)) is None:  # noqa: ASYNC110 - of a socket
                await asyncio.sleep(LOOK_SECONDS)
        return message

    async def until(self, assignment: str) -> dict[str, str]:
        """The next message that has it, without those before it."""
        name, _, value = assignment.partition("=")
        while (message := await self.next()).get(name) != value:
            pass
        return message

    def all(self) -> Iterator[dict[str, str]]:
        """What has come."""
        with suppress(BlockingIOError):
            while True:
                data, descriptors, _, _ = socket.recv_fds(self._sock, 4096, 1000)
                self.stored += descriptors
                message = _assignments(data)
                if message.get("FDSTOREREMOVE") == "1":
                    self.drop()
                yield message

    def close(self) -> None:
        self._sock.close()
        self.drop()

    def drop(self) -> None:
        """Close what is stored."""
        while self.stored:
            os.close(self.stored.pop())


def _assignments(data: bytes) -> dict[str, str]:
    return dict(line.split("=", 1) for line in data.decode().split("\n"))


class Unit:
    """A service with its listening sockets, which outlive each of its processes."""

    def __init__(self, folder: Path, watchdog_seconds: float = 0.0) -> None:
        self.told = Told(str(folder / "notify"))
        self.clients = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.operators = socket.create_server(("127.0.0.1", 0))
        self._watchdog_seconds = watchdog_seconds

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.clients.getsockname()[1]}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.operators.getsockname()[1]}"

    @asynccontextmanager
    async def started(
        self, upstream_url: str, *arguments: str, **variables: str
    ) -> AsyncIterator[Process]:
        """One of its processes, which is ready; it is killed if it has not ended."""
        given = {f"GATEWAY_{name.upper()}": value for name, value in variables.items()}
        if self._watchdog_seconds:
            given["WATCHDOG_USEC"] = f"{self._watchdog_seconds * 1e6:.0f}"
        for _ in self.told.all():
            """Of the process before, which has stored what it leaves."""
        numbers = [self.clients.fileno(), self.operators.fileno(), *self.told.stored]
        names = ["clients", "admin", *["kept"] * len(self.told.stored)]
        command = [sys.executable, "-m", "gateway", "serve", "--upstream", upstream_url, *arguments]
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", HANDING_OVER, ",".join(map(str, numbers)), *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=numbers,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith(("GATEWAY_", "COV"))},
                "LISTEN_FDS": str(len(numbers)),
                "LISTEN_FDNAMES": ":".join(names),
                "NOTIFY_SOCKET": self.told.address,
                **given,
            },
        )
        try:
            await self.told.until("READY=1")
            yield Process(running, url=self.url, admin_url=self.admin_url)
        finally:
            if running.returncode is None:
                running.kill()
                await running.communicate()

    def close(self) -> None:
        for sock in (self.clients, self.operators):
            sock.close()
        self.told.close()
