"""Many clients that wait, each on a connection of its own; tells who was answered when.

Usage: python -m benchmarks.waiting.clients
"""

from __future__ import annotations

import asyncio
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


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self.answered_at = 0.0
        self.status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.status:
            self.answered_at = time.monotonic()
            self.status = int(data[9:12])


class Clients:
    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}
        self._transports: list[asyncio.BaseTransport] = []

    async def wait(self, port: int, waits: Sequence[tuple[str, str]], seconds: int) -> int:
        """Ask for the results of jobs, given with their tokens; how many wait now."""
        turn = asyncio.Semaphore(CONNECTING)
        loop = asyncio.get_running_loop()

        async def begin(number: int, job_id: str, token: str) -> None:
            target = f"/job/{job_id}/result?timeout={seconds}&parse"
            head = f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
            client = self._clients[job_id] = _Client(head.encode())
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

    async def leave(self) -> int:
        for transport in self._transports:
            transport.close()
        self._transports.clear()
        self._clients.clear()
        return 0


async def main() -> None:
    clients = Clients()
    commands = (clients.wait, clients.answered, clients.leave)
    await obey({command.__name__: command for command in commands})


if __name__ == "__main__":
    uvloop.run(main())
