"""Connections to one upstream address: kept alive, bounded in number, given out in turn.

An eighth of the places is only for requests of the gateway itself. How long a relayed one takes is
up to its client, and slow ones must not keep those who wait from their results; nor those of one
client all others, so the rest is shared out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import BadGateway, GatewayTimeout, Overloaded, TooManyRequests
from gateway.upstream.connections.connection import Connection
from gateway.upstream.connections.shares import Shares, first_waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.config import UpstreamConfig
    from gateway.errors import Field, GatewayError
    from gateway.upstream.connections.shares import Cycle
    from gateway.upstream.connections.write_batch import WriteBatch

    Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]
    """Connects a new protocol of the factory's to the upstream; raises OSError."""


RESERVED_SHARE = 8
_RETRY_SOON: Field = (b"Retry-After", b"1")


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Connections by what they do, and requests that wait for one."""

    busy: int
    idle: int
    queued: int
    refused: int = 0
    """Requests so far whose client held its share, and for as long as they could wait."""


class Pool:
    """Last used, first reused, so that idle connections age out. Who waits is served in turn, the
    gateway's own requests first.

    ``holder`` stands for the client that a relayed request is of, empty for the gateway's own.
    """

    def __init__(self, dial: Dial, config: UpstreamConfig, write_batch: WriteBatch) -> None:
        self._dial = dial
        self._config = config
        self._write_batch = write_batch
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._taken = 0
        """Places in use: connections open, being opened, or promised to one in the queue."""
        reserved = config.max_connections // RESERVED_SHARE
        self._shares = Shares(config.max_connections - reserved)
        self._queue: deque[Cycle] = deque()
        """Of the gateway's own requests."""
        self._refused = 0

    def stats(self) -> PoolStats:
        idle = len(self._idle)
        queued = len(self._queue) + self._shares.queued
        return PoolStats(len(self._open) - idle, idle, queued, self._refused)

    def waiting_since(self) -> float | None:
        """When the oldest request was sent to which no answer has begun; None without any."""
        since = [connection.waiting_since for connection in self._open]
        return min((at for at in since if at is not None), default=None)

    def take(self, holder: bytes = b"") -> Connection | None:
        """A kept connection, if there is one; for a relayed request, if it may have one."""
        if holder and not self._shares.may_take(holder):
            return None
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                if holder:
                    self._shares.take(holder)
                return connection
            self._discard(connection)
        return None

    async def acquire(self, holder: bytes = b"", *, fresh: bool = False) -> Connection:
        """A connection for one exchange, to be given back by ``release``.

        ``fresh``: none that was used before.

        Raises:
            BadGateway: the upstream refuses.
            GatewayTimeout: it does not accept within ``connect_seconds``.
            Overloaded: no connection became free within ``connect_seconds``.
            TooManyRequests: there were some, but the client holds its share.
        """
        while (kept := self.take(holder)) is not None:
            if not fresh:
                return kept
            self._discard(kept, holder)
        if self._taken < self._config.max_connections and self._may_take(holder):
            self._taken += 1
            if holder:
                self._shares.take(holder)
            return await self._connect(holder)
        handed = await self._queued(holder)
        if handed is None:
            return await self._connect(holder)
        if handed.is_open and not fresh:
            return handed
        self._discard(handed, holder)
        return await self.acquire(holder, fresh=fresh)

    def release(self, connection: Connection, holder: bytes = b"") -> None:
        """The exchange is over: keep the connection if nothing about it is in doubt."""
        if holder:
            self._shares.give_back(holder)
        keep = self._config.keepalive_seconds
        if connection.reader.keepalive_hint is not None:
            # A second earlier than the upstream, so as not to send into its closing.
            keep = min(keep, connection.reader.keepalive_hint - 1)
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

    def _may_take(self, holder: bytes) -> bool:
        """Whether one more place may be taken, without anybody who waits for it being passed over:
        of those who wait for a share of the places none may have one while there are any."""
        return self._shares.may_take(holder) if holder else not self._queue

    async def _queued(self, holder: bytes) -> Connection | None:
        """Wait in line for a connection, or (None) for the place to open one."""
        turn: Cycle = asyncio.get_running_loop().create_future()
        if holder:
            self._shares.enqueue(holder, turn)
        else:
            self._queue.append(turn)
        try:
            async with asyncio.timeout(self._config.connect_seconds):
                return await turn
        except TimeoutError:
            self._leave(turn, holder)
            raise self._refusal(holder) from None
        except asyncio.CancelledError:
            self._leave(turn, holder)
            raise

    def _refusal(self, holder: bytes) -> GatewayError:
        if holder and not self._shares.is_full and not self._shares.may_take(holder):
            self._refused += 1
            message = "Too many requests of one client are under way"
            return TooManyRequests(message, fields=(_RETRY_SOON,))
        return Overloaded("All connections to the upstream are in use", fields=(_RETRY_SOON,))

    def _leave(self, turn: Cycle, holder: bytes) -> None:
        """Who leaves the line just when its turn came hands it to the next."""
        if holder:
            was_waiting = self._shares.leave(holder, turn)
        else:
            was_waiting = turn in self._queue
            if was_waiting:
                self._queue.remove(turn)
        if was_waiting or turn.cancelled():
            return
        connection = turn.result()
        if connection is None:
            self._give_up_place(holder)
        else:
            self.release(connection, holder)

    async def _connect(self, holder: bytes) -> Connection:
        made: list[Connection] = []

        def protocol() -> Connection:
            made.append(Connection(self._on_closed, self._config.buffer_bytes, self._write_batch))
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
                self._give_up_place(holder)
        self._open.add(made[-1])
        return made[-1]

    def _on_closed(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
            self._discard(connection)

    def _discard(self, connection: Connection, holder: bytes = b"") -> None:
        if connection.is_open:
            connection.close()
        if connection in self._open:
            self._open.remove(connection)
            self._give_up_place(holder)

    def _give_up_place(self, holder: bytes = b"") -> None:
        if holder:
            self._shares.give_back(holder)
        turn = self._next_in_line()
        if turn is None:
            self._taken -= 1
        else:
            turn.set_result(None)

    def _next_in_line(self) -> Cycle | None:
        """Whose turn it is, if anybody's; what it is given counts as used."""
        turn = first_waiting(self._queue)
        return self._shares.next_turn() if turn is None else turn
