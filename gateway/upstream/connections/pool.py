"""Connections to one upstream address: kept alive, bounded in number, given out in turn.

A place is the right to have one connection; there are ``max_connections``. An eighth of them is
only for requests of the gateway itself. How long a relayed one takes is up to its client, and slow
ones must not keep those who wait from their results; nor those of one client all others, so the
rest is shared out (``shares``). A request takes the connection that was used last, else a free
place, else it queues: the gateway's own first, then the clients in turn.

    take, acquire ──▶ Lease ──release──▶ in doubt ──▶ closed; its place goes to the first in line
          ▲                          └─▶ sound ─┬──▶ handed to the first in line
          │                                     └──▶ idle, closed after ``keepalive_seconds``
          └─────────────────────────────────────────────┘
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import BadGateway, GatewayTimeout, Overloaded, TooManyRequests
from gateway.upstream.connections.connection import UpstreamConnection
from gateway.upstream.connections.shares import Shares, first_waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.config import UpstreamConfig
    from gateway.errors import Field, GatewayError
    from gateway.upstream.connections.shares import Ticket
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


class Lease:
    """A connection for one exchange, with the place that it takes of the holder's share."""

    __slots__ = ("_holder", "_pool", "connection")

    def __init__(self, pool: Pool, connection: UpstreamConnection, holder: bytes) -> None:
        self._pool = pool
        self._holder = holder
        self.connection = connection

    def release(self) -> None:
        """Give the connection back, once: it is kept if nothing about it is in doubt."""
        self._pool.take_back(self.connection, self._holder)


class Pool:
    """Last used, first reused, so that idle connections age out. Requests that wait are served in
    turn, the gateway's own first.

    ``holder`` stands for the client that a relayed request is of, empty for the gateway's own.
    """

    def __init__(self, dial: Dial, config: UpstreamConfig, write_batch: WriteBatch) -> None:
        self._dial = dial
        self._config = config
        self._keepalive_seconds = config.keepalive_seconds
        self._write_batch = write_batch
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self._taken = 0
        """Places in use: connections open, being opened, or promised to one in the queue."""
        reserved = config.max_connections // RESERVED_SHARE
        self._shares = Shares(config.max_connections - reserved)
        self._queue: deque[Ticket] = deque()
        """The gateway's own requests that wait."""
        self._refused = 0

    def stats(self) -> PoolStats:
        idle = len(self._idle)
        queued = len(self._queue) + self._shares.queued
        return PoolStats(len(self._open) - idle, idle, queued, self._refused)

    def waiting_since(self) -> float | None:
        """The time at which the oldest request without a response was sent; None without any."""
        since = [connection.waiting_since for connection in self._open]
        return min((at for at in since if at is not None), default=None)

    def take(self, holder: bytes = b"") -> Lease | None:
        """A kept connection, if there is one and the holder may have one more."""
        if not self._shares.may_take(holder):
            return None
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                self._shares.take(holder)
                return Lease(self, connection, holder)
            self._discard(connection)
        return None

    async def acquire(self, holder: bytes = b"", *, fresh: bool = False) -> Lease:
        """A connection for one exchange; with ``fresh`` none that was used before.

        Raises:
            BadGateway: the upstream refuses.
            GatewayTimeout: it does not accept within ``connect_seconds``.
            Overloaded: no connection became free within ``connect_seconds``.
            TooManyRequests: there were some, but the client holds its share.
        """
        while True:
            lease = self.take(holder)
            if lease is None:
                lease = await self._next(holder)
            connection = lease.connection
            if connection.is_fresh or (connection.is_open and not fresh):
                return lease
            self._shares.give_back(holder)
            self._discard(connection)

    def take_back(self, connection: UpstreamConnection, holder: bytes) -> None:
        """End a lease."""
        self._shares.give_back(holder)
        keep = self._keepalive_seconds
        hint = connection.reader.keepalive_hint
        if hint is not None:
            # A second earlier than the upstream, so as not to send into its closing.
            keep = min(keep, hint - 1)
        if not connection.is_reusable or keep <= 0:
            self._discard(connection)
        elif (ticket := self._next_in_line()) is not None:
            ticket.set_result(connection)
        else:
            connection.close_after(keep)
            self._idle.append(connection)

    def close(self) -> None:
        """Close every connection, also those in use."""
        for connection in list(self._open):
            self._discard(connection)

    async def _next(self, holder: bytes) -> Lease:
        """Open a connection if there is a place, else wait in line."""
        if self._taken < self._config.max_connections and self._may_take(holder):
            self._taken += 1
            self._shares.take(holder)
            connection = None
        else:
            connection = await self._queued(holder)
        if connection is None:
            try:
                connection = await self._connect()
            except BaseException:
                self._shares.give_back(holder)
                self._give_up_place()
                raise
        return Lease(self, connection, holder)

    def _may_take(self, holder: bytes) -> bool:
        """True if one more place may be taken without passing over any request that waits for it:
        of those that wait for a share of the places none may have one while there are any."""
        return self._shares.may_take(holder) if holder else not self._queue

    async def _queued(self, holder: bytes) -> UpstreamConnection | None:
        """Wait in line for a connection, or (None) for the place to open one."""
        ticket: Ticket = asyncio.get_running_loop().create_future()
        if holder:
            self._shares.enqueue(holder, ticket)
        else:
            self._queue.append(ticket)
        try:
            async with asyncio.timeout(self._config.connect_seconds):
                return await ticket
        except TimeoutError:
            self._leave(ticket, holder)
            raise self._refusal(holder) from None
        except asyncio.CancelledError:
            self._leave(ticket, holder)
            raise

    def _refusal(self, holder: bytes) -> GatewayError:
        if not self._shares.is_full and not self._shares.may_take(holder):
            self._refused += 1
            message = "Too many requests of one client are under way"
            return TooManyRequests(message, fields=(_RETRY_SOON,))
        return Overloaded("All connections to the upstream are in use", fields=(_RETRY_SOON,))

    def _leave(self, ticket: Ticket, holder: bytes) -> None:
        """Leave the line; what was handed over just then goes to the next."""
        if holder:
            was_waiting = self._shares.leave(holder, ticket)
        else:
            was_waiting = ticket in self._queue
            if was_waiting:
                self._queue.remove(ticket)
        if was_waiting or ticket.cancelled():
            return
        connection = ticket.result()
        if connection is None:
            self._shares.give_back(holder)
            self._give_up_place()
        else:
            self.take_back(connection, holder)

    async def _connect(self) -> UpstreamConnection:
        made: list[UpstreamConnection] = []

        def protocol() -> UpstreamConnection:
            made.append(
                UpstreamConnection(self._on_closed, self._config.buffer_bytes, self._write_batch)
            )
            return made[-1]

        try:
            async with asyncio.timeout(self._config.connect_seconds):
                await self._dial(protocol)
        except TimeoutError:
            raise GatewayTimeout("The upstream did not accept a connection in time") from None
        except OSError:
            raise BadGateway("The upstream is not reachable") from None
        self._open.add(made[-1])
        return made[-1]

    def _on_closed(self, connection: UpstreamConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
            self._discard(connection)

    def _discard(self, connection: UpstreamConnection) -> None:
        if connection.is_open:
            connection.close()
        if connection in self._open:
            self._open.remove(connection)
            self._give_up_place()

    def _give_up_place(self) -> None:
        ticket = self._next_in_line()
        if ticket is None:
            self._taken -= 1
        else:
            ticket.set_result(None)

    def _next_in_line(self) -> Ticket | None:
        """The request that is served next, if any waits; what it is given counts as used."""
        ticket = first_waiting(self._queue)
        return self._shares.next_in_line() if ticket is None else ticket
