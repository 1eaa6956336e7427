"""A connection's way to the orchestrator, on which what the gateway sends can be read."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.upstream import Peer, upstream_doing

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

    async def serve(peer: Peer) -> None:
        there, back = await asyncio.open_connection(address.hostname, address.port)
        await asyncio.gather(
            _pass(peer.reader, back, tap.heard), _pass(there, peer.writer, bytearray())
        )

    async with upstream_doing(serve) as script:
        tap.url = script.url
        yield tap


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
