"""Connections to one upstream address: kept alive, bounded in number, given out in turn.

An eighth of the places is only for requests of the gateway itself. How long a relayed one takes is
up to its client, and slow ones must not keep those who wait from their results.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import BadGateway, GatewayTimeout, Overloaded
from gateway.upstream.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.config import UpstreamConfig
    from gateway.outbox import Outbox

    Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]
    """Connects a new protocol of the factory's to the upstream; raises OSError."""
    _Turn = asyncio.Future[Connection | None]
    """Of somebody in a queue: a connection, or None for the place to open one."""


RESERVED_SHARE = 8


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Connections by what they do, and requests that wait for one."""

    busy: int
    idle: int
    queued: int


class Pool:
    """Last used, first reused, so that idle connections age out. Who waits is served in order, the
    gateway's own requests first."""

    def __init__(self, dial: Dial, config: UpstreamConfig, outbox: Outbox) -> None:
        self._dial = dial
        self._config = config
        self._outbox = outbox
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._taken = 0
        """Places in use: connections open, being opened, or promised to one in the queue."""
        self._most_relayed = config.max_connections - config.max_connections // RESERVED_SHARE
        self._relayed = 0
        """Places in use for relayed requests."""
        self._queue: deque[_Turn] = deque()
        self._relay_queue: deque[_Turn] = deque()

    def stats(self) -> PoolStats:
        idle = len(self._idle)
        queued = len(self._queue) + len(self._relay_queue)
        return PoolStats(len(self._open) - idle, idle, queued)

    def take(self, *, relayed: bool = False) -> Connection | None:
        """A kept connection, if there is one; for a relayed request, if it may have one."""
        if relayed and self._relayed >= self._most_relayed:
            return None
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                self._relayed += relayed
                return connection
            self._discard(connection)
        return None

    async def acquire(self, *, relayed: bool = False, fresh: bool = False) -> Connection:
        """A connection for one exchange, to be given back by ``release``.

        ``fresh``: none that was used before.

        Raises:
            BadGateway: the upstream refuses.
            GatewayTimeout: it does not accept within ``connect_seconds``.
            Overloaded: no connection became free within ``connect_seconds``.
        """
        while (kept := self.take(relayed=relayed)) is not None:
            if not fresh:
                return kept
            self._discard(kept, relayed=relayed)
        queue = self._relay_queue if relayed else self._queue
        may_have_one = not relayed or self._relayed < self._most_relayed
        if self._taken < self._config.max_connections and may_have_one and not queue:
            self._taken += 1
            self._relayed += relayed
            return await self._connect(relayed=relayed)
        handed = await self._queued(queue, relayed=relayed)
        if handed is None:
            return await self._connect(relayed=relayed)
        if handed.is_open and not fresh:
            return handed
        self._discard(handed, relayed=relayed)
        return await self.acquire(relayed=relayed, fresh=fresh)

    def release(self, connection: Connection, *, relayed: bool = False) -> None:
        """The exchange is over: keep the connection if nothing about it is in doubt."""
        self._relayed -= relayed
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

    async def _queued(self, queue: deque[_Turn], *, relayed: bool) -> Connection | None:
        """Wait in line for a connection, or (None) for the place to open one."""
        turn: _Turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(self._config.connect_seconds):
                return await turn
        except TimeoutError:
            self._leave(queue, turn, relayed=relayed)
            raise Overloaded(
                "All connections to the upstream are in use", fields=((b"Retry-After", b"1"),)
            ) from None
        except asyncio.CancelledError:
            self._leave(queue, turn, relayed=relayed)
            raise

    def _leave(self, queue: deque[_Turn], turn: _Turn, *, relayed: bool) -> None:
        """Who leaves the line just when its turn came hands it to the next."""
        if turn in queue:
            queue.remove(turn)
        elif not turn.cancelled():
            connection = turn.result()
            if connection is None:
                self._give_up_place(relayed=relayed)
            else:
                self.release(connection, relayed=relayed)

    async def _connect(self, *, relayed: bool) -> Connection:
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
                self._give_up_place(relayed=relayed)
        self._open.add(made[-1])
        return made[-1]

    def _on_closed(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
            self._discard(connection)

    def _discard(self, connection: Connection, *, relayed: bool = False) -> None:
        if connection.is_open:
            connection.close()
        if connection in self._open:
            self._open.remove(connection)
            self._give_up_place(relayed=relayed)

    def _give_up_place(self, *, relayed: bool = False) -> None:
        self._relayed -= relayed
        turn = self._next_in_line()
        if turn is None:
            self._taken -= 1
        else:
            turn.set_result(None)

    def _next_in_line(self) -> _Turn | None:
        """Whose turn it is, if anybody's; what it is given counts as used."""
        turn = _first(self._queue)
        if turn is None and self._relayed < self._most_relayed:
            turn = _first(self._relay_queue)
            self._relayed += turn is not None
        return turn


def _first(queue: deque[_Turn]) -> _Turn | None:
    while queue:
        turn = queue.popleft()
        if not turn.done():
            return turn
    return None
