"""One connection to the upstream: the sockets' side of it, on an asyncio protocol.

A connection serves one exchange at a time. What arrives is read at once and waits in a bounded
buffer until it is taken; above the bound the socket is not read. One lazy timer a connection
watches over whatever is awaited, so that a time limit costs an assignment, not a timer, a request.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, cast

from gateway.errors import ContentCut, GatewayTimeout
from gateway.upstream.messages.response_reader import ResponseReader
from gateway.upstream.messages.response_state import AWAITED

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.upstream.connections.write_batch import WriteBatch


class UpstreamConnection(asyncio.Protocol):
    """``on_closed`` is called once, when the connection is gone.

    ``buffer_bytes``: above so much content that waits to be taken the socket is not read, and
    above so much that waits to be sent writing waits; below half of it both go on.
    """

    def __init__(
        self,
        on_closed: Callable[[UpstreamConnection], None],
        buffer_bytes: int,
        write_batch: WriteBatch,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._write_batch = write_batch
        self._on_closed = on_closed
        self._buffer_bytes = buffer_bytes
        self._transport: asyncio.Transport | None = None
        self._on_arrival: Callable[[], None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._writing_paused = False
        self._reading_paused = False
        self._timer: asyncio.Handle | None = None
        # uvloop's timers that are due at once do not tell when they are.
        self._timer_at = 0.0
        self._deadline = 0.0
        self._closes_at_deadline = False
        self.reader = ResponseReader()
        self.sent_at: float | None = None
        """Time of the last request; monotonic seconds."""
        self.when_writable: Callable[[], None] | None = None
        """Called when the upstream takes data again, for who writes without waiting."""

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_fresh(self) -> bool:
        """No request was sent over it."""
        return not self.reader.served

    @property
    def waiting_since(self) -> float | None:
        """The time since which the upstream owes a response; None while it owes none."""
        owes = self.reader.state is AWAITED and self.is_open and self._deadline < math.inf
        return self.sent_at if owes else None

    @property
    def is_reusable(self) -> bool:
        """Another request may be sent: the response ended where it said, and nothing is left."""
        return self.reader.is_reusable and not self.reader.content.size and self.is_open

    def send(self, data: bytes, *, method: str, upgrade: bool = False) -> None:
        """Begin an exchange with a request's head, and its content if that is at hand."""
        self._closes_at_deadline = False
        self.reader.expect(method, upgrade=upgrade)
        if self._transport is None:
            self.reader.lost()
        else:
            self._write_batch.write(self._transport, data)

    async def write(self, data: bytes) -> None:
        """Send content, waiting while the upstream does not take it.

        Raises:
            ContentCut: the connection is gone.
        """
        if self._transport is None or self.reader.failure is not None:
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

    def take(self) -> bytes | None:
        """The content that has arrived, empty at the end of the response, None if it is to come.

        Raises:
            ContentCut: the content ended early, or nothing came in time.
        """
        chunk = self.reader.take()
        if self._reading_paused and self.reader.content.size <= self._buffer_bytes // 2:
            self._reading_paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return chunk

    def take_whole(self) -> bytes | None:
        """All content of a response that is complete; None where more is to come, or nothing."""
        return None if self._reading_paused else self.reader.take_all()

    async def arrived(self, seconds: float) -> None:
        """Wait for whatever comes next, for ``seconds`` at most; then there is a failure."""
        waiter = self._loop.create_future()
        self.call_on_arrival(lambda: None if waiter.done() else waiter.set_result(None), seconds)
        try:
            await waiter
        finally:
            self._on_arrival = None

    async def heard(self, seconds: float) -> ResponseReader:
        """Wait for the head of the response or a failure, for ``seconds`` at most from one arrival
        to the next; the reader has either then."""
        reader = self.reader
        while reader.head is None and reader.failure is None:
            await self.arrived(seconds)
        return reader

    def call_on_arrival(self, on_arrival: Callable[[], None] | None, seconds: float = 0) -> None:
        """Have whatever comes next told at once, again and again, until None is given instead.

        ``seconds``: what ``on_arrival`` waits for may take as long; then there is a failure.
        """
        if on_arrival is not None:
            self._arm(seconds)
        self._on_arrival = on_arrival

    def extend(self, seconds: float) -> None:
        """There was progress: what is awaited may take ``seconds`` from now on."""
        self._arm(seconds)

    def suspend(self) -> None:
        """Somebody else than the upstream is waited for: no time limit until ``extend``."""
        self._deadline = math.inf

    def fail(self, failure: Exception) -> None:
        """End the exchange: reading its response raises ``failure``."""
        self.reader.fail(failure)
        self._wake()
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
        self._closes_at_deadline = True
        self._arm(seconds)

    def _arm(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer_at > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._set_timer()

    def _set_timer(self) -> None:
        self._timer_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._transport is None:
            return
        if self._closes_at_deadline or self._on_arrival is not None:
            if self._loop.time() < self._deadline:
                if self._deadline < math.inf:
                    self._set_timer()
            elif self._closes_at_deadline:
                self.close()
            elif self.reader.head is not None:
                self.fail(ContentCut("the upstream sent no content in time"))
            else:
                self.fail(GatewayTimeout("The upstream did not answer in time"))

    def _wake(self) -> None:
        if self._on_arrival is not None:
            self._on_arrival()

    # --- asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(self._buffer_bytes, self._buffer_bytes // 2)

    def data_received(self, data: bytes) -> None:
        reader = self.reader
        had_head = reader.head is not None
        if reader.feed(data):
            # Of a response that is complete all that counts is in the buffer.
            self.close()
        elif reader.content.size > self._buffer_bytes and not self._reading_paused:
            self._reading_paused = True
            if self._transport is not None:
                self._transport.pause_reading()
        # Only what can be used is progress; for anything else the time limit goes on.
        has_head_now = reader.head is not None and not had_head
        if has_head_now or reader.content.size or reader.is_complete or reader.failure is not None:
            self._wake()

    def eof_received(self) -> bool:
        self.reader.feed_eof()
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.reader.lost()
        self._wake()
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
