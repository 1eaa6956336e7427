"""One connection to the upstream: HTTP/1.1 on an asyncio protocol, answers parsed by llhttp.

A connection serves one exchange at a time. Data arrives in ``data_received``, is parsed at once and
waits in a bounded buffer until ``read`` fetches it; above the bound the socket is not read. One
lazy timer a connection watches over whatever it waits for, so that a time limit costs a float's
assignment, not a timer, per request.

After any doubt about where a message ends the connection is closed, never reused (RFC 9112, 9.3).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import httptools

from gateway.errors import BadGateway, ContentCut, GatewayTimeout
from gateway.fields import keep_alive_seconds
from gateway.upstream.messages import Head

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import Field

HEAD_BYTES = 64 * 1024
"""The largest answer head that is accepted."""
BUFFER_BYTES = 256 * 1024
"""Content that may wait for its reader before the socket is no longer read."""


class StaleConnection(Exception):
    """A kept connection was closed by the upstream before it answered anything."""


class Connection(asyncio.Protocol):
    """See the module. ``on_closed`` is called once, when the connection is gone."""

    def __init__(self, on_closed: Callable[[Connection], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._served = 0
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._writing_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._reading_paused = False
        self.keepalive_hint: float | None = None
        self.when_writable: Callable[[], None] | None = None
        """Called when the upstream takes data again, for who writes without waiting."""
        self._reset(method="", upgrade=False)

    def _reset(self, *, method: str, upgrade: bool) -> None:
        self._method = method
        self._upgrade = upgrade
        self._raw = False
        self._head: Head | None = None
        self._head_bytes = 0
        self._status = 0
        self._reason = b""
        self._fields: list[Field] = []
        self._until_close = False
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._complete = method == ""
        self._reusable = False
        self._failure: Exception | None = None

    # --- the exchange, as its caller sees it

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_ready(self) -> bool:
        """``read`` would not wait."""
        return bool(self._chunks) or self._complete

    @property
    def is_reusable(self) -> bool:
        """Another request may be sent: the answer ended where it said, and nothing is left."""
        return self._reusable and self._failure is None and not self._chunks and self.is_open

    def send(self, head: bytes, *, method: str, upgrade: bool = False) -> None:
        """Begin an exchange. ``head`` may have the content behind it."""
        self._served += 1
        self._deadline = 0.0
        self._reset(method=method, upgrade=upgrade)
        if self._transport is None:
            self._fail(self._closed_failure())
        else:
            self._transport.write(head)

    async def write(self, data: bytes) -> None:
        """Send content, waiting while the upstream does not take it.

        Raises:
            ContentCut: the connection is gone.
        """
        if self._transport is None or self._failure is not None:
            raise ContentCut("the upstream closed the connection")
        self._transport.write(data)
        if self._writing_paused:
            self._writable = self._loop.create_future()
            await self._writable

    def write_nowait(self, data: bytes) -> bool:
        """Send data without waiting; False asks to hold back until ``when_writable``."""
        if self._transport is not None:
            self._transport.write(data)
        return not self._writing_paused

    async def head(self, seconds: float) -> Head:
        """The answer's head.

        Raises:
            StaleConnection, BadGateway, GatewayTimeout: none came within ``seconds``.
        """
        while self._head is None:
            if self._failure is not None:
                raise self._failure
            await self._wait(seconds)
        return self._head

    async def read(self, seconds: float) -> bytes:
        """The next piece of content, empty at its end.

        Raises:
            ContentCut: the content ended early, or nothing came for ``seconds``.
        """
        while not self._chunks:
            if self._complete:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._wait(seconds)
        chunk = self._chunks.popleft()
        self._buffered -= len(chunk)
        if self._reading_paused and self._buffered <= BUFFER_BYTES // 2:
            self._reading_paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return chunk

    def extend(self, seconds: float) -> None:
        """There was progress: what is awaited may take ``seconds`` from now on."""
        self._deadline = self._loop.time() + seconds

    def fail(self, failure: Exception) -> None:
        """End the exchange: its reader gets ``failure``."""
        self._fail(failure)
        self.close()

    def close(self) -> None:
        """Close at once; what was not sent is lost."""
        if self._transport is not None:
            self._transport.abort()

    def close_gracefully(self) -> None:
        """Close when what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    def close_after(self, seconds: float) -> None:
        """Close unless another exchange begins within ``seconds``."""
        self._arm(seconds)

    # --- waiting

    async def _wait(self, seconds: float) -> None:
        self._arm(seconds)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._deadline = 0.0

    def _arm(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._transport is None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._on_timer)
        elif self._waiter is not None:
            late = GatewayTimeout("The upstream did not answer in time")
            self.fail(ContentCut("no content in time") if self._head else late)
        elif self._complete and self._deadline:
            self.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: Exception) -> None:
        if self._failure is None:
            self._failure = failure
        self._wake()

    # --- asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP and Unix give a Transport

    def data_received(self, data: bytes) -> None:
        if self._raw:
            self.on_body(data)
            return
        if self._complete:
            # Nothing was asked: where this message belongs cannot be known.
            self._reusable = False
            self.close()
            return
        if self._head is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switched:
            self._switch(data[switched.args[0] :])
        except httptools.HttpParserError:
            self._garbled()
        else:
            if self._head is None and self._head_bytes > HEAD_BYTES:
                self._garbled()

    def eof_received(self) -> bool:
        if self._raw or (self._until_close and self._head is not None):
            self._complete = True
            self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._complete:
            self._fail(self._closed_failure())
        self.resume_writing()
        self._on_closed(self)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self.when_writable is not None:
            self.when_writable()

    def _closed_failure(self) -> Exception:
        if self._head is not None:
            return ContentCut("the upstream closed the connection within its answer")
        if self._served > 1 and not self._head_bytes:
            return StaleConnection()
        return BadGateway("The upstream closed the connection without an answer")

    def _garbled(self) -> None:
        if self._head is None:
            self.fail(BadGateway("The upstream's answer is not HTTP"))
        else:
            self.fail(ContentCut("the upstream's content is not framed as HTTP says"))

    # --- httptools' callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            # A second answer to one request: the peer and we disagree where messages end.
            self._reusable = False
            self.close()

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._complete:
            return
        if status < 200 and status != 101:
            self._reason, self._fields = b"", []
            return
        self._status = status
        length, coding = _framing(self._fields)
        chunked = coding == b"chunked"
        if coding and not chunked:
            self.fail(BadGateway("The upstream's answer has a transfer coding besides chunked"))
            return
        bodiless = self._method == "HEAD" or status in {204, 304}
        self._until_close = length is None and not chunked and not bodiless
        self.keepalive_hint = keep_alive_seconds(self._fields)
        self._head = Head(status, self._reason, self._fields, None if bodiless else length)
        if self._method == "HEAD":
            # llhttp would wait for the content that a HEAD's answer only announces.
            self._reusable = self._parser.should_keep_alive()
            self._complete = True
            self._parser = httptools.HttpResponseParser(self)
        self._wake()

    def on_body(self, data: bytes) -> None:
        if self._complete:
            self._reusable = False
            self.close()
            return
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered > BUFFER_BYTES and not self._reading_paused:
            self._reading_paused = True
            assert self._transport is not None
            self._transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if self._head is None or self._method == "HEAD" or self._status == 101:
            return
        self._reusable = self._parser.should_keep_alive()
        self._complete = True
        self._wake()

    def _switch(self, rest: bytes) -> None:
        """The upstream changed protocols (RFC 9110, 7.8): what follows is passed on as it is."""
        if not self._upgrade or self._status != 101:
            self._head = None
            self.fail(BadGateway("The upstream changed protocols unasked"))
            return
        self._raw = True
        if rest:
            self.on_body(rest)


def _framing(fields: list[Field]) -> tuple[int | None, bytes]:
    """The content's length and transfer coding, as far as they are given."""
    length, coding = None, b""
    for name, value in fields:
        lowered = name.lower()
        if lowered == b"content-length":
            length = int(value)
        elif lowered == b"transfer-encoding":
            coding = value.strip().lower()
    return length, coding
