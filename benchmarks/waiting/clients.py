"""Many clients that wait, each on a connection of its own; tells who was answered when.

Usage: python -m benchmarks.waiting.clients
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, cast

import uvloop

from benchmarks.waiting.control import obey

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTING = 200
"""Connections opened at a time."""
PER_ADDRESS = 20_000
"""Local ports used of one address: it has some 28 000."""


_LOCATION = re.compile(rb"\r\nlocation: *([!-~]+)\r\n", re.IGNORECASE)
LIMIT = 1000
"""Requests that one wait may take."""


class _Client(asyncio.Protocol):
    """Waits for one job, as long as it is redirected."""

    def __init__(self, target: str, token: str) -> None:
        self._target = target.encode()
        self._fields = b"Host: localhost\r\nAuthorization: Bearer %b\r\n" % token.encode()
        self._transport: asyncio.Transport | None = None
        self.answered_at = 0.0
        self.status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask(self._target)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 303 "):
            location = _LOCATION.search(data)
            assert location is not None
            self._ask(location[1])
        elif not self.status:
            self.answered_at = time.monotonic()
            self.status = int(data[9:12])

    def _ask(self, target: bytes) -> None:
        assert self._transport is not None
        self._transport.write(b"GET %b HTTP/1.1\r\n%b\r\n" % (target, self._fields))


class Clients:
    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}
        self._transports: list[asyncio.BaseTransport] = []

    async def wait(self, port: int, waits: Sequence[tuple[str, str]], seconds: int) -> int:
        """Ask for the results of jobs, given with their tokens, with holds of so many seconds; how
        many wait now."""
        turn = asyncio.Semaphore(CONNECTING)
        loop = asyncio.get_running_loop()

        async def begin(number: int, job_id: str, token: str) -> None:
            target = f"/job/{job_id}/result?timeout={seconds}&limit={LIMIT}&parse"
            client = self._clients[job_id] = _Client(target, token)
            source = (f"127.0.0.{2 + number // PER_ADDRESS}", 0)
            async with turn:
                transport, _ = await loop.create_connection(
                    lambda: client, "127.0.0.1", port, local_addr=source
                )
            self._transports.append(transport)

        async with asyncio.TaskGroup() as group:
            for number, (job_id, token) in enumerate(waits):
                group.create_task(begin(number, job_id, token))
        return len(self._transports)

    async def answered(self) -> dict[str, tuple[float, int]]:
        """When each was answered, by the machine's monotonic clock, and with which status."""
        return {
            job_id: (client.answered_at, client.status)
            for job_id, client in self._clients.items()
            if client.status
        }


async def main() -> None:
    clients = Clients()
    commands = (clients.wait, clients.answered)
    await obey({command.__name__: command for command in commands})


if __name__ == "__main__":
    uvloop.run(main())
