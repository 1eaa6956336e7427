"""A real redis-server on a free port, to be stopped, restarted and made to hang."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.e2e.harness import program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class RedisServer:
    """Keeps nothing on disk: a restart begins empty. ``url`` stays the same over restarts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._running: asyncio.subprocess.Process | None = None
        self.url = f"redis://127.0.0.1:{port}/0"

    async def start(self) -> None:
        self._running = running = await asyncio.create_subprocess_exec(
            program("redis-server"),
            *("--bind", "127.0.0.1", "--port", str(self._port), "--save", "", "--dir", "/tmp"),  # noqa: S108
            stdout=asyncio.subprocess.PIPE,
        )
        assert running.stdout is not None
        async with asyncio.timeout(15):
            while b"Ready to accept connections" not in await running.stdout.readline():
                assert running.returncode is None

    async def stop(self) -> None:
        """Kill it: its connections are gone at once."""
        if self._running is not None:
            self._running.send_signal(signal.SIGCONT)
            self._running.kill()
            await self._running.communicate()
            self._running = None

    def hang(self) -> None:
        """Go on accepting connections, answer nothing."""
        assert self._running is not None
        self._running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._running is not None
        self._running.send_signal(signal.SIGCONT)


@asynccontextmanager
async def redis_serving() -> AsyncIterator[RedisServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = RedisServer(port)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
