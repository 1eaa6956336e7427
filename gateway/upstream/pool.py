"""Connections to one upstream address: kept alive, bounded in number, given out in turn."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import BadGateway, GatewayTimeout, Overloaded
from gateway.outbox import Outbox
from gateway.upstream.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.config import UpstreamConfig

    Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]
    """Connects a new protocol of the factory's to the upstream; raises OSError."""


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Connections by what they do, and requests that wait for one."""

    busy: int
    idle: int
    queued: int


class Pool:
    """Last used, first reused, so that idle connections age out. Who waits is served in order."""

    def __init__(self, dial: Dial, config: UpstreamConfig) -> None:
        self._dial = dial
        self._config = config
        self._outbox = Outbox()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._taken = 0
        """Places in use: connections open, being opened, or promised to one in the queue."""
        self._queue: deque[asyncio.Future[Connection | None]] = deque()

    def stats(self) -> PoolStats:
        idle = len(self._idle)
        return PoolStats(len(self._open) - idle, idle, len(self._queue))

    def take(self) -> Connection | None:
        """A kept connection, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
            self._discard(connection)
        return None

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """A connection for one exchange, to be given back by ``release``.

        ``fresh``: none that was used before.

        Raises:
            BadGateway: the upstream refuses.
            GatewayTimeout: it does not accept within ``connect_seconds``.
            Overloaded: no connection became free within ``connect_seconds``.
        """
        while (kept := self.take()) is not None:
            if not fresh:
                return kept
            self._discard(kept)
        if self._taken < self._config.max_connections and not self._queue:
            self._taken += 1
            return await self._connect()
        handed = await self._queued()
        if handed is None:
            return await self._connect()
        if handed.is_open and not fresh:
            return handed
        self._discard(handed)
        return await self.acquire(fresh=fresh)

    def release(self, connection: Connection) -> None:
        """The exchange is over: keep the connection if nothing about it is in doubt."""
        keep = self._config.keepalive_seconds
        if connection.answer.keepalive_hint is not None:
            # A second earlier than the upstream, so as not to send into its closing.
            keep = min(keep, connection.answer.keepalive_hint - 1)
        if not connection.is_reusable or keep <= 0:
            self._discard(connection)
        elif (turn := self._next_in_line()) is not None:
            turn.set_result(connection)
        else:
            connection.close_after(keep)
            self._idle.append(connection)

    def close(self) -> None:
        """Close every connection, also those in use."""
        for connection in list(self._open):
            self._discard(connection)

    async def _queued(self) -> Connection | None:
        """Wait in line for a connection, or (None) for the place to open one."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._config.connect_seconds):
                return await turn
        except TimeoutError:
            self._leave(turn)
            raise Overloaded(
                "All connections to the upstream are in use", fields=((b"Retry-After", b"1"),)
            ) from None
        except asyncio.CancelledError:
            self._leave(turn)
            raise

    def _leave(self, turn: asyncio.Future[Connection | None]) -> None:
        """Who leaves the line just when its turn came hands it to the next."""
        if turn in self._queue:
            self._queue.remove(turn)
        elif not turn.cancelled():
            connection = turn.result()
            if connection is None:
                self._give_up_place()
            else:
                self.release(connection)

    async def _connect(self) -> Connection:
        made: list[Connection] = []

        def protocol() -> Connection:
            made.append(Connection(self._on_closed, self._config.buffer_bytes, self._outbox))
            return made[-1]

        connected = False
        try:
            async with asyncio.timeout(self._config.connect_seconds):
                await self._dial(protocol)
            connected = True
        except TimeoutError:
            raise GatewayTimeout("The upstream did not accept a connection in time") from None
        except OSError:
            raise BadGateway("The upstream is not reachable") from None
        finally:
            if not connected:
                self._give_up_place()
        self._open.add(made[-1])
        return made[-1]

    def _on_closed(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
            self._discard(connection)

    def _discard(self, connection: Connection) -> None:
        if connection.is_open:
            connection.close()
        if connection in self._open:
            self._open.remove(connection)
            self._give_up_place()

    def _give_up_place(self) -> None:
        turn = self._next_in_line()
        if turn is None:
            self._taken -= 1
        else:
            turn.set_result(None)

    def _next_in_line(self) -> asyncio.Future[Connection | None] | None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                return turn
        return None
