"""A connection's way to the orchestrator, on which what the gateway sends can be read."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PIECE_BYTES = 64 * 1024


class Wiretap:
    """Passes all bytes on, and keeps those that go to ``url``'s server."""

    def __init__(self) -> None:
        self.url = ""
        self.heard = bytearray()

    def parents(self) -> list[str]:
        """The values of all ``traceparent`` lines, in their order."""
        found = re.findall(rb"(?im)^traceparent: (.*)\r$", bytes(self.heard))
        return [value.decode("latin-1") for value in found]


@asynccontextmanager
async def tapping(upstream_url: str) -> AsyncIterator[Wiretap]:
    """Listens on a free port, and connects to the upstream for each that connects to it."""
    tap = Wiretap()
    address = urlsplit(upstream_url)
    running: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            there, back = await asyncio.open_connection(address.hostname, address.port)
            await asyncio.gather(_pass(reader, back, tap.heard), _pass(there, writer, bytearray()))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    tap.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield tap
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        if running:
            await asyncio.wait(running)


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray
) -> None:
    try:
        while piece := await reader.read(_PIECE_BYTES):
            heard += piece
            writer.write(piece)
            await writer.drain()
    finally:
        with suppress(ConnectionError):
            writer.close()
