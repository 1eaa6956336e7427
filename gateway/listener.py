"""aiohttp's low-level server for the client port: one handler, no routes, no opinions on content.

aiohttp parses requests and manages connections; each request becomes a ``Client``. What is no HTTP
request goes through the same stages as any other, so that it is answered in TheEye's shape and
logged. This is the one module that leans on aiohttp's internals, so a minor release of aiohttp is
admitted only with the tests of this one passing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import ERROR, _ErrInfo

from gateway.admission.connections import SURPLUS
from gateway.downstream import Client
from gateway.errors import FieldsTooLarge, GatewayError, TooManyRequests
from gateway.malformed import HeadTooLong, malformed
from gateway.sockets import peer_address

if TYPE_CHECKING:
    from gateway.admission.connections import Connections
    from gateway.config import LimitsConfig, ListenConfig
    from gateway.pipeline import Pipeline
    from gateway.turn import Turn

MAX_FIELDS = 256
"""Field lines of a request."""
CONNECTIONS = "connections_per_address"
# Each time, finding it by super() takes longer than all that is done here.
_feed = web.RequestHandler.data_received
LINGER_SECONDS = 5.0
"""How long leftover content is read after an early answer, so that the client gets to see it."""
_NO_REQUEST = ERROR._replace(raw_headers=())
"""What aiohttp puts in the place of a request that is none; its ``raw_headers`` are a dict."""


class _Connection(web.RequestHandler):
    """Answers its requests in turn: by callbacks as far as that goes, else by its one task.

    aiohttp's own makes a task, a writer, a request and a response for each request, which shows at
    some thousand requests a second. What is rare is left to it.
    """

    __slots__ = (
        "_accept",
        "_connections",
        "_content_seen",
        "_counted",
        "_fields_bytes",
        "_filling",
        "_floor",
        "_idle_seconds",
        "_is_enforced",
        "_is_overlong",
        "_parked",
        "_surplus",
        "_turn",
        "_unread",
    )

    def __init__(self, server: ClientListener, **options: object) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)  # type: ignore[arg-type]
        self._accept = server.accept
        self._idle_seconds = server.idle_seconds
        self._floor = server.floor
        self._connections = server.by_address
        self._is_enforced = server.is_enforced
        self._fields_bytes = server.fields_bytes
        self._unread = 0
        """What has come since a request, or a piece of content, was complete."""
        self._filling = EMPTY_PAYLOAD
        """The content of the last request, which may still be coming."""
        self._content_seen = 0
        self._is_overlong = False
        self._counted = ""
        self._surplus = 0
        """By how many connections the client's address was over its bound when it opened this."""
        self._turn: Turn | None = None
        """The one that goes by itself, or waits for the task to take it."""
        self._parked: asyncio.Future[None] | None = None
        """What the task waits for while it has nothing to do. aiohttp takes ``_waiter``, which is
        the same or None, for the sign that there is no request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._connections is not None:
            peer = transport.get_extra_info("peername")
            self._counted = self._connections.key(peer_address(peer))
            if self._counted:
                self._surplus = self._connections.opened(self._counted)
            if self._surplus and self._is_enforced:
                self._keepalive_timeout = min(self._keepalive_timeout, LINGER_SECONDS)
        super().connection_made(transport)
        if self._surplus > SURPLUS and self._is_enforced:
            self.force_close()

    def data_received(self, data: bytes) -> None:
        if self._is_overlong:
            return
        waiter, self._waiter = self._waiter, None
        count = self._request_count
        _feed(self, data)
        self._waiter = waiter
        if self._request_count == count:
            self._bound_head(len(data))
        else:
            self._unread = 0
            self._filling = self._messages[-1][1]
        if waiter is not None:
            self._go_on()
        elif self._messages and self._current_request is not None:
            self._spoil(cast("Client", self._current_request))

    def _bound_head(self, size: int) -> None:
        """Take no more of a head, or of trailers, that is too long.

        aiohttp bounds each line and their number, but not what they have together, and keeps all.
        """
        content = self._filling.total_bytes
        if content != self._content_seen or self._reading_paused or self._buffer_paused:
            self._content_seen = content
            self._unread = 0
            return
        self._unread += size
        if self._unread > self.max_line_size + self._fields_bytes and not (
            self._upgraded or self._close
        ):
            self._is_overlong = True
            error = HeadTooLong(FieldsTooLarge.than(self._fields_bytes).message)
            self._messages.append((_ErrInfo(431, error, error.message), EMPTY_PAYLOAD))

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._connections is not None and self._counted:
            self._connections.closed(self._counted)
            self._counted = ""
        # It refers to this connection.
        self._filling = EMPTY_PAYLOAD
        super().connection_lost(exc)
        # Else the two would keep each other until the collector comes, which is rare.
        self._current_request = None
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.abandon()

    async def start(self) -> None:
        """Do what callbacks can't, whenever there is such a turn."""
        try:
            while not (self._force_close or self._close):
                await self._park()
                turn, self._turn = self._turn, None
                if turn is not None:
                    await turn.run()
                    await self._after(turn)
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
        self._turn = turn = self._accept(client, refusal, CONNECTIONS if self._surplus else "")
        if not turn.begin_at_once(self._on_turn):
            self._unpark()

    def _on_turn(self, turn: Turn) -> None:
        """A turn that went by itself is over, or needs the task."""
        if not turn.is_over:
            self._unpark()
            return
        self._turn = self._current_request = None
        if not turn.keeps_connection or self._close:
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
            message = _NO_REQUEST
        client = Client(message, payload, self, self._idle_seconds, self._floor)
        if client.has_content and self._messages:
            self._spoil(client)
        if self._surplus and self._is_enforced:
            told = "Too many connections from one address"
            refusal = TooManyRequests(told, fields=((b"Retry-After", b"1"),))
        return client, refusal

    def _spoil(self, client: Client) -> None:
        """Tell a request what is wrong with its content.

        aiohttp puts that in line behind the request, which would wait for more until its time is
        up.
        """
        last, _ = self._messages[-1]
        if isinstance(last, _ErrInfo):
            client.spoil(last.exc)

    async def _after(self, turn: Turn) -> None:
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
        if turn.keeps_connection and is_read:
            self._keep_for_another()
        else:
            self._close = True

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


class ClientListener(web.Server):
    """A protocol factory for ``create_server``; a handler is cancelled when its client leaves."""

    def __init__(
        self,
        pipeline: Pipeline,
        listen: ListenConfig,
        limits: LimitsConfig,
        connections: Connections | None,
    ) -> None:
        self.accept = pipeline.accept
        self.by_address = connections
        self.is_enforced = limits.mode == "enforce"
        self.idle_seconds = listen.idle_seconds
        self.floor = listen.min_content_bytes_per_second
        self.fields_bytes = limits.fields_bytes
        # aiohttp's own handler is never called: connections hand their requests to ours.
        super().__init__(cast("Any", pipeline.accept), handler_cancellation=True)
        self._options = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": listen.keepalive_seconds,
            # By the bound that it broke one can tell what was too long.
            "max_field_size": limits.fields_bytes + (limits.fields_bytes == limits.target_bytes),
            "max_headers": MAX_FIELDS,
            "max_line_size": limits.target_bytes,
        }

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, **self._options)
