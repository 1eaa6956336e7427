"""An upstream on a raw socket that answers each request with the bytes a test gives it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Serve = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One accepted connection."""

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next request's head, empty when the connection ended."""
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""

    async def answer(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        self.writer.transport.abort()


class Script:
    """What the server saw."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.heads: list[bytes] = []


@asynccontextmanager
async def upstream_doing(serve: Serve) -> AsyncIterator[Script]:
    """A server on a free port that runs ``serve`` for each connection, then closes it."""
    script = Script()
    running: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        script.connections += 1
        try:
            await serve(Peer(script.connections, reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        if running:
            await asyncio.wait(running)


@asynccontextmanager
async def upstream_answering(*answers: bytes, close: bool = False) -> AsyncIterator[Script]:
    """One response per request, over all connections; the last goes on being given."""
    seen: list[bytes] = []

    async def serve(peer: Peer) -> None:
        while head := await peer.request():
            seen.append(head)
            await peer.answer(answers[min(len(seen), len(answers)) - 1])
            if close:
                return

    async with upstream_doing(serve) as script:
        script.heads = seen
        yield script
