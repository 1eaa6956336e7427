"""A real redis-server on a free port, to be stopped, restarted and made to hang.

REDIS_SERVER names another program that is to be tested with: Valkey's, say.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

from tests.support.harness import program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class RedisServer:
    """Keeps nothing on disk: a restart begins empty. ``url`` stays the same over restarts.

    ``options``: as on the command line of redis-server; later ones win.
    """

    def __init__(self, port: int, *options: str) -> None:
        self.port = port
        self.options = options
        self._running: asyncio.subprocess.Process | None = None
        self.url = f"redis://127.0.0.1:{port}/0"

    async def start(self, *, until: bytes = b"Ready to accept connections") -> None:
        """Start it, and wait until it has said so."""
        self._running = running = await asyncio.create_subprocess_exec(
            program(os.environ.get("REDIS_SERVER", "redis-server")),
            *("--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", "/tmp"),  # noqa: S108
            *self.options,
            stdout=asyncio.subprocess.PIPE,
        )
        assert running.stdout is not None
        async with asyncio.timeout(15):
            while until not in await running.stdout.readline():
                assert running.returncode is None

    async def stop(self) -> None:
        """Kill it: its connections are gone at once."""
        if self._running is not None:
            self._running.send_signal(signal.SIGCONT)
            self._running.kill()
            await self._running.communicate()
            self._running = None

    def client(self) -> Redis:
        """For tests to speak to it with."""
        return Redis.from_url(self.url)

    async def command(self, *words: str | int | bytes) -> Any:
        """What it answers to one command."""
        async with self.client() as client:
            return await client.execute_command(*words)  # type: ignore[no-untyped-call]

    def hang(self) -> None:
        """Go on accepting connections, answer nothing."""
        assert self._running is not None
        self._running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._running is not None
        self._running.send_signal(signal.SIGCONT)


@asynccontextmanager
async def redis_serving(*options: str) -> AsyncIterator[RedisServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = RedisServer(port, *options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
