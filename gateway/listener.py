"""aiohttp's low-level server for the client port: one handler, no routes, no opinions on content.

aiohttp parses requests and manages connections; each request becomes a ``Client``. What is no HTTP
request goes through the same stages as any other, so that it is answered in TheEye's shape and
logged. This is the one module that leans on aiohttp's internals, so a minor release of aiohttp is
admitted only with the tests of this one passing.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_protocol import ERROR as NO_REQUEST
from aiohttp.web_protocol import RequestPayloadError, _ErrInfo

from gateway.admission.connections import SURPLUS
from gateway.downstream import Client
from gateway.errors import (
    BadRequest,
    FieldsTooLarge,
    GatewayError,
    TargetTooLong,
    TooManyRequests,
)

if TYPE_CHECKING:
    from aiohttp import StreamReader
    from aiohttp.http import RawRequestMessage

    from gateway.admission.connections import Connections
    from gateway.config import LimitsConfig, ListenConfig
    from gateway.pipeline import Pipeline

MAX_FIELDS = 256
"""Field lines of a request."""
CONNECTIONS = "connections_per_address"
LINGER_SECONDS = 5.0
"""How long leftover content is read after an early answer, so that the client gets to see it."""
_NO_MORE = (TimeoutError, ConnectionError, HttpProcessingError, RequestPayloadError)


class _Connection(web.RequestHandler):
    __slots__ = ("_connections", "_counted", "_handle", "_idle_seconds", "_is_enforced", "_surplus")

    def __init__(self, server: ClientListener, **options: object) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)  # type: ignore[arg-type]
        self._handle = server.handle
        self._idle_seconds = server.idle_seconds
        self._connections = server.by_address
        self._is_enforced = server.is_enforced
        self._counted = ""
        self._surplus = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._connections is not None:
            peer = transport.get_extra_info("peername")
            self._counted = self._connections.key(peer[0] if isinstance(peer, tuple) else "")
            if self._counted:
                self._surplus = self._connections.opened(self._counted)
            if self._surplus and self._is_enforced:
                self._keepalive_timeout = min(self._keepalive_timeout, LINGER_SECONDS)
        super().connection_made(transport)
        if self._surplus > SURPLUS and self._is_enforced:
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._connections is not None and self._counted:
            self._connections.closed(self._counted)
            self._counted = ""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages and self._current_request is not None:
            # aiohttp puts what is wrong with content in line behind the request it belongs to,
            # which would wait for more of it until its time is up.
            last, _ = self._messages[-1]
            if isinstance(last, _ErrInfo):
                cast("Client", self._current_request).spoil(last.exc)

    async def start(self) -> None:
        """Answer the connection's requests in turn.

        aiohttp's own makes a task, a writer, a request and a response for each, which shows at some
        thousand requests a second. What is rare is left to it.
        """
        try:
            while not self._force_close:
                message, payload = await self._next_message()
                if not await self._answer(message, payload) or self._close:
                    break
                self._keep_for_another()
        except asyncio.CancelledError:
            self.force_close()
            raise
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _next_message(self) -> tuple[RawRequestMessage | _ErrInfo, StreamReader]:
        if not self._messages:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        return message

    async def _answer(self, message: RawRequestMessage | _ErrInfo, payload: StreamReader) -> bool:
        """Answer one request; whether another may follow on the connection."""
        refusal = None
        if isinstance(message, _ErrInfo):
            refusal = _refusal(message.exc, self.max_line_size)
            message = NO_REQUEST
        client = Client(message, payload, self, self._idle_seconds)
        if self._surplus:
            client.limit = CONNECTIONS
            if self._is_enforced:
                refusal = TooManyRequests(
                    "Too many connections from one address", fields=((b"Retry-After", b"1"),)
                )
        self._current_request = cast("web.BaseRequest", client)
        try:
            keep = await self._handle(client, refusal)
        finally:
            self._current_request = None
        if self._upgraded:
            # It reads what came behind an upgrade that was not granted.
            await self.finish_response(_NOTHING, _NOTHING, None)  # type: ignore[arg-type]
        if not payload.is_eof():
            await self._read_off(payload)
            keep = keep and payload.is_eof()
        return keep

    async def _read_off(self, payload: StreamReader) -> None:
        with contextlib.suppress(*_NO_MORE):
            async with asyncio.timeout(LINGER_SECONDS):
                while not payload.is_eof():
                    await payload.readany()

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
        self.handle = pipeline.handle
        self.by_address = connections
        self.is_enforced = limits.mode == "enforce"
        self.idle_seconds = listen.idle_seconds
        # aiohttp's own handler is never called: connections hand their requests to ours.
        super().__init__(cast("Any", pipeline.handle), handler_cancellation=True)
        self._options = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": listen.keepalive_seconds,
            "max_field_size": limits.fields_bytes,
            "max_headers": MAX_FIELDS,
            "max_line_size": limits.target_bytes,
        }

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, **self._options)


def _refusal(cause: BaseException, target_bytes: int) -> GatewayError:
    if not isinstance(cause, LineTooLong):
        return BadRequest("The request is not HTTP/1.1 as RFC 9112 has it")
    if cause.args[1] in {target_bytes, str(target_bytes)}:
        return TargetTooLong(f"The request target has more than {target_bytes} bytes")
    return FieldsTooLarge("A field of the request is too long")
