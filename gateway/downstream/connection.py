"""One client's connection: its requests take turns.

What is not HTTP goes through the same stages as any other request, so that it is answered in
TheEye's shape and logged.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from aiohttp.web_protocol import ERROR, _ErrInfo

from gateway.admission.connections import SURPLUS
from gateway.downstream.inbound import Inbound
from gateway.downstream.listening.sockets import peer_address
from gateway.downstream.parse_errors import malformed, unknown_method
from gateway.downstream.request import Client
from gateway.errors import GatewayError, Overloaded, TooManyRequests

if TYPE_CHECKING:
    from aiohttp import web

    from gateway.admission.connections import Connections
    from gateway.downstream.listening.places import Places
    from gateway.proxy.cycle import Cycle

CONNECTIONS = "connections_per_address"
DESCRIPTORS = "descriptors"
LINGER_SECONDS = 5.0
"""How long leftover content is read after an early answer, so that the client gets to see it."""
_AT_ONCE = ((b"Retry-After", b"1"),)
_NO_REQUEST = ERROR._replace(raw_headers=())
"""What aiohttp puts in the place of a request that is none; its ``raw_headers`` are a dict."""


class Accept(Protocol):
    """Begins with a request whose head has come. ``refusal``: why it cannot be passed on;
    ``limit``: what its connection is over."""

    def __call__(self, client: Client, refusal: GatewayError | None, limit: str) -> Cycle:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Terms:
    """What is the same for all connections of a listener."""

    accept: Accept
    places: Places
    by_address: Connections | None
    """How many each address has; None without limits."""
    is_enforced: bool
    """Limits are; else they are only counted."""
    idle_seconds: float
    floor: float
    fields_bytes: int


class Connection(Inbound):
    """Answers its requests in turn: by callbacks as far as that goes, else by its one task.

    aiohttp's own makes a task, a writer, a request and a response for each request, which shows at
    some thousand requests a second. What is rare is left to it.
    """

    __slots__ = (
        "_counted",
        "_has_place",
        "_limit",
        "_parked",
        "_refusal",
        "_terms",
        "_turn",
    )

    def __init__(
        self, server: web.Server, terms: Terms, *, has_place: bool = True, **options: object
    ) -> None:
        super().__init__(server, terms.fields_bytes, **options)
        self._terms = terms
        self._has_place = has_place
        """Else it is there to be told that there is none."""
        self._counted = ""
        self._limit = ""
        """What it is over."""
        self._refusal: GatewayError | None = None
        """What it is told for that."""
        self._turn: Cycle | None = None
        """The one that goes by itself, or waits for the task to take it."""
        self._parked: asyncio.Future[None] | None = None
        """What the task waits for while it has nothing to do. aiohttp takes ``_waiter``, which is
        the same or None, for the sign that there is no request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        surplus = self._count(transport)
        if self._refusal is not None:
            self._keepalive_timeout = min(self._keepalive_timeout, LINGER_SECONDS)
        super().connection_made(transport)
        if surplus > SURPLUS and self._terms.is_enforced:
            self.force_close()

    def _count(self, transport: asyncio.BaseTransport) -> int:
        """Take part in what is counted; by how many connections its address has too many."""
        places, connections = self._terms.places, self._terms.by_address
        if not self._has_place:
            places.refusing += 1
            self._limit = DESCRIPTORS
            self._refusal = Overloaded("No more clients can be let in", fields=_AT_ONCE)
            return 0
        places.taken += 1
        if connections is None:
            return 0
        self._counted = connections.key(peer_address(transport.get_extra_info("peername")))
        surplus = connections.opened(self._counted) if self._counted else 0
        if surplus:
            self._limit = CONNECTIONS
            if self._terms.is_enforced:
                self._refusal = TooManyRequests(
                    "Too many connections from one address", fields=_AT_ONCE
                )
        return surplus

    def _count_off(self) -> None:
        places, connections = self._terms.places, self._terms.by_address
        if not self._has_place:
            places.refusing -= 1
            return
        places.taken -= 1
        if connections is not None and self._counted:
            connections.closed(self._counted)

    def _on_parsed(self, *, is_awaited: bool) -> None:
        if is_awaited:
            self._go_on()
        elif self._messages and self._current_request is not None:
            self._spoil(cast("Client", self._current_request))

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._manager is not None:
            self._count_off()
        super().connection_lost(exc)
        # Else the two would keep each other until the collector comes, which is rare.
        self._current_request = None
        cycle, self._turn = self._turn, None
        if cycle is not None:
            cycle.abandon()

    async def start(self) -> None:
        """Do what callbacks can't, whenever there is such a turn."""
        try:
            while not (self._force_close or self._close):
                await self._park()
                cycle, self._turn = self._turn, None
                if cycle is not None:
                    await cycle.run()
                    await self._after(cycle)
                    if self._messages:
                        # Some requests are over without waiting for anything, and a client may have
                        # sent thousands of them.
                        await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.force_close()
            raise
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _park(self) -> None:
        """Leave the connection to its callbacks until one of them calls ``_unpark``."""
        self._parked = self._waiter = parked = self._loop.create_future()
        self._go_on()
        try:
            await parked
        finally:
            self._parked = self._waiter = None

    def _unpark(self) -> None:
        self._waiter = None
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(None)

    def _go_on(self) -> None:
        """Begin with the next request, if there is one."""
        if not self._messages:
            return
        self._waiter = None
        client, refusal = self._next_client()
        self._current_request = client  # type: ignore[assignment]
        self._turn = cycle = self._terms.accept(client, refusal, self._limit)
        if not cycle.begin_at_once(self._on_turn):
            self._unpark()

    def _on_turn(self, cycle: Cycle) -> None:
        """A turn that went by itself is over, or needs the task."""
        if not cycle.is_over:
            self._unpark()
            return
        self._turn = self._current_request = None
        if not cycle.keeps_connection or self._close:
            self._close = True
            self._unpark()
            return
        self._keep_for_another()
        self._waiter = self._parked
        if self._messages:
            self._go_on()

    def _next_client(self) -> tuple[Client, GatewayError | None]:
        message, payload = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        refusal = None
        if isinstance(message, _ErrInfo):
            refusal = malformed(message.exc, self.max_line_size)
            method = unknown_method(message.exc)
            message = _NO_REQUEST._replace(method=method) if method else _NO_REQUEST
        terms = self._terms
        client = Client(
            message, payload, self, terms.idle_seconds, floor=terms.floor, places=terms.places
        )
        if client.has_content and self._messages:
            self._spoil(client)
        return client, self._refusal or refusal

    def _spoil(self, client: Client) -> None:
        """Tell a request what is wrong with its content.

        aiohttp puts that in line behind the request, which would wait for more until its time is
        up.
        """
        last, _ = self._messages[-1]
        if isinstance(last, _ErrInfo):
            client.spoil(last.exc)

    async def _after(self, cycle: Cycle) -> None:
        """Bring the connection to where another request may follow, or to its end."""
        client = cast("Client | None", self._current_request)
        if client is None:
            # It left meanwhile.
            return
        self._current_request = None
        if self._upgraded:
            # It reads what came behind an upgrade that was not granted.
            await self.finish_response(_NOTHING, _NOTHING, None)  # type: ignore[arg-type]
        is_read = await client.read_off(LINGER_SECONDS)
        if cycle.keeps_connection and is_read:
            self._keep_for_another()
        else:
            self._close = True

    def close_if_idle(self, seconds: float) -> None:
        """Close it where nothing has been asked for so long."""
        idle_since = self._next_keepalive_close_time - self._keepalive_timeout
        is_idle = self._waiter is not None and not self._rest
        if is_idle and self._loop.time() >= idle_since + seconds:
            self.force_close()

    def _keep_for_another(self) -> None:
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )


class _Nothing:
    """For aiohttp: a request and a response with which everything is done."""

    def _finish(self) -> None: ...

    async def prepare(self, _request: object) -> None: ...

    async def write_eof(self) -> None: ...


_NOTHING = _Nothing()
