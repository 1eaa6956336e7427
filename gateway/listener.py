"""aiohttp's low-level server for the client port: one handler, no routes, no opinions on content.

aiohttp parses requests and manages connections; for each request it makes a ``Client``. What is no
HTTP request goes through the same stages as any other, so that it is answered in TheEye's shape
and logged.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import _ErrInfo

from gateway.downstream import Client
from gateway.errors import BadRequest, FieldsTooLarge, GatewayError, TargetTooLong

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import StreamReader
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http import RawRequestMessage

    from gateway.config import LimitsConfig, ListenConfig
    from gateway.pipeline import Pipeline

    Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

MAX_FIELDS = 256
"""Field lines of a request."""
LINGER_SECONDS = 5.0
"""How long leftover content is read after an early answer, so that the client gets to see it."""


class _Connection(web.RequestHandler):
    __slots__ = ("_handle",)

    def __init__(self, server: ClientListener, **options: object) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)  # type: ignore[arg-type]
        self._handle = server.handle

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages and self._current_request is not None:
            # aiohttp puts what is wrong with content in line behind the request it belongs to,
            # which would wait for more of it until its time is up.
            last, _ = self._messages[-1]
            if isinstance(last, _ErrInfo):
                cast("Client", self._current_request).spoil(last.exc)

    def _make_error_handler(self, err_info: _ErrInfo) -> Handler:
        handle = self._handle
        refusal = _refusal(err_info.exc, self.max_line_size)

        async def refuse(request: web.BaseRequest) -> web.StreamResponse:
            return await handle(cast("Client", request), refusal)

        return refuse


class ClientListener(web.Server):
    """A protocol factory for ``create_server``; a handler is cancelled when its client leaves."""

    def __init__(self, pipeline: Pipeline, listen: ListenConfig, limits: LimitsConfig) -> None:
        idle_seconds = listen.idle_seconds

        def client(
            message: RawRequestMessage,
            payload: StreamReader,
            protocol: web.RequestHandler,
            writer: AbstractStreamWriter,
            _task: asyncio.Task[None],
        ) -> web.BaseRequest:
            made = Client(message, payload, protocol, writer, idle_seconds)
            return cast("web.BaseRequest", made)

        self.handle = pipeline.handle
        super().__init__(
            cast("Handler", pipeline.handle), request_factory=client, handler_cancellation=True
        )
        self._options = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": listen.keepalive_seconds,
            "lingering_time": LINGER_SECONDS,
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
