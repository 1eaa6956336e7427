"""One request to the upstream and its response, on a connection of the pool.

Most requests have their content at hand, meet a kept connection and get a response that arrives as
a whole. These are sent at once and read by a callback (``begin_at_once``, ``take_whole``), which
costs neither a task nor a future. All others are ``async with`` blocks, which also go on with what
was begun by callbacks (``pause``). Either way a request is sent at most twice, and the second time
only if the first met a connection that was being closed (RFC 9110, 9.2.2).

``exchange_state`` has the states and a picture of them. In ``CALLING``, ``AWAITED`` and
``READING`` the exchange holds a lease of the pool; leaving them gives it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from gateway.errors import BadGateway, ContentCut, GatewayError, GatewayTimeout
from gateway.protocols.http.fields import has_length
from gateway.upstream import exchange_state as states
from gateway.upstream.exchange_state import Moves, UpstreamExchangeState
from gateway.upstream.failures import is_the_upstreams, told_at_once
from gateway.upstream.messages.messages import Head, Outbound
from gateway.upstream.messages.response_reader import StaleConnection
from gateway.upstream.upload import Content, Upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gateway.config import UpstreamConfig
    from gateway.upstream.connections.connection import UpstreamConnection
    from gateway.upstream.connections.pool import Lease, Pool
    from gateway.upstream.connections.write_batch import WriteBatch
    from gateway.upstream.tally import Tally


class UpstreamExchange:
    """One request sent and its response read; leaving the block frees or closes the connection."""

    __slots__ = (
        "_config",
        "_content",
        "_lease",
        "_outbound",
        "_pool",
        "_tally",
        "_upload",
        "_write_batch",
        "head",
        "seconds",
        "sent_at",
        "state",
        "status",
    )

    head: Head

    def __init__(
        self,
        outbound: Outbound,
        content: Content | bytes,
        *,
        pool: Pool,
        tally: Tally,
        write_batch: WriteBatch,
        config: UpstreamConfig,
    ) -> None:
        self._pool = pool
        self._tally = tally
        self._write_batch = write_batch
        self._config = config
        self._outbound = outbound
        self._upload: Upload | None = None
        self._content = b""
        """All of it, where that is at hand."""
        if isinstance(content, bytes):
            self._content = content
        else:
            is_chunked = not has_length(outbound.fields)
            seconds = config.response_seconds
            self._upload = Upload(content, tally.clock, is_chunked=is_chunked, seconds=seconds)
        self._lease: Lease | None = None
        self.sent_at = 0.0  # while it was not
        self.state: UpstreamExchangeState = states.UNSENT
        self.status = 0
        """The response's, 0 while there is none."""
        self.seconds = 0.0
        """Time until the upstream began its response, failed, or nobody waited for it any more; 0
        while it is waited for."""

    def begin_at_once(self, on_arrival: Callable[[], None]) -> bool:
        """Send a request without content if a kept connection is free; else do nothing.

        ``on_arrival`` is called for all that comes back until ``take_whole`` or ``abandon`` ends
        the exchange, or ``pause`` leaves it to a block.
        """
        lease = self._pool.take(self._outbound.holder)
        if lease is None:
            return False
        self._send(lease, states.CALL)
        lease.connection.call_on_arrival(on_arrival, self._config.response_seconds)
        return True

    def take_whole(self) -> bytes | None:
        """The response's content, with which the exchange ends; None while there is not all of it,
        or where something is wrong with it.
        """
        connection = self.connection
        content = connection.take_whole()
        if content is None:
            return None
        head = connection.reader.head
        assert head is not None, "a response is whole with its head"
        self._responded(head)
        self._move(states.COMPLETE)
        self._give_back()
        return content

    def pause(self) -> None:
        """Stop calling ``on_arrival`` and stop the response timer; a block continues the exchange,
        unless it is over."""
        self._move(states.PAUSE)
        if self._lease is not None:
            self._lease.connection.call_on_arrival(None)

    def abandon(self) -> None:
        """End the exchange early: nobody waits for the response any more."""
        self._left()
        self._give_back()

    def time_out(self) -> None:
        """Count a failure if a time limit of the user's ended a block that had no response yet."""
        self._move(states.TIME_OUT)
        if self.state is states.FAILED:
            self._failed(GatewayTimeout())

    async def __aenter__(self) -> Self:
        """Wait for the head of the response; the request is sent if it was not yet. Raises
        GatewayError where there is none, and as reading the client's content raises."""
        upload = self._upload
        if upload is not None:
            try:
                await upload.gather()
            except BaseException:
                self._left()
                raise
            if upload.is_whole:
                self._content, self._upload = upload.gathered, None
        try:
            head = await self._response()
        except BaseException as failure:
            await self._leave()
            if isinstance(failure, GatewayError):
                self._move(states.FAIL)
                # An upstream that loses patience with a client is not failing.
                self._failed(ContentCut() if self._is_stalled() else failure)
            else:
                self._left()
            raise
        self._responded(head)
        self._move(states.RESPOND)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._move(states.RELEASE)
        if self._upload is not None and self._upload.was_begun:
            await self._leave()
        else:
            self._give_back()

    def take(self) -> bytes | None:
        """The content that has arrived, empty at its end, None where ``arrived`` must be awaited;
        raises ContentCut where it ended early, or the upstream stalled."""
        return self.connection.take()

    async def arrived(self) -> None:
        """Wait for more of the content."""
        await self.connection.arrived(self._config.idle_seconds)

    async def read(self) -> bytes:
        """The next piece of the content, empty at its end; raises as ``take``."""
        while (chunk := self.connection.take()) is None:
            await self.connection.arrived(self._config.idle_seconds)
        return chunk

    @property
    def connection(self) -> UpstreamConnection:
        """The connection itself, for a protocol other than HTTP after a 101."""
        assert self._lease is not None
        return self._lease.connection

    def _move(self, event: Moves) -> None:
        """Go on to the next state; those that call back count for the batching of writes."""
        before = self.state
        after = event.get(before)
        assert after is not None, f"an exchange that is {before} makes no such move"
        if after is states.CALLING:
            self._write_batch.under_way += 1
        elif before is states.CALLING:
            self._write_batch.under_way -= 1
        self.state = after

    def _responded(self, head: Head) -> None:
        now = self._tally.clock()
        self.head = head
        self.status = head.status
        self.seconds = now - self._waited_since()
        self._tally.responded(self._outbound.purpose, head.status, now, self.seconds)

    def _failed(self, failure: Exception) -> None:
        now = self._tally.clock()
        if self.sent_at and is_the_upstreams(failure):
            self.seconds = now - self._waited_since()
        self._tally.failed(self._outbound.purpose, failure, now, self.seconds)

    def _left(self) -> None:
        """Note that its user has gone: the upstream took so long, and would have taken longer."""
        self._move(states.LEAVE)
        if self.sent_at and not self.status and not self._is_stalled():
            self.seconds = self._tally.clock() - self._waited_since()

    def _is_stalled(self) -> bool:
        """The client is waited for, not the upstream."""
        return self._upload is not None and self._upload.awaits_client

    def _waited_since(self) -> float:
        """The time since which the upstream is waited for, and not the client."""
        upload = self._upload
        return self.sent_at if upload is None else max(self.sent_at, upload.passed_on_at)

    def _send(self, lease: Lease, event: Moves) -> None:
        self._move(event)
        self._lease = lease
        connection = lease.connection
        self.sent_at = connection.sent_at = self._tally.clock()
        outbound, upload = self._outbound, self._upload
        content = self._content if upload is None else upload.gathered
        message = outbound.head() + content
        connection.send(message, method=outbound.method, upgrade=outbound.upgrade)
        if upload is not None:
            upload.begin(connection)

    async def _response(self) -> Head:
        """The head of the response; the request is sent once more where nothing forbids it."""
        holder = self._outbound.holder
        if self.state is states.UNSENT:
            self._send(await self._pool.acquire(holder), states.SEND)
        reader = await self.connection.heard(self._config.response_seconds)
        if isinstance(reader.failure, StaleConnection):
            await self._leave()
            self._move(states.RETRY)
            if not self._outbound.may_be_repeated or self._upload is not None:
                raise BadGateway("The upstream closed the connection without an answer")
            self._send(await self._pool.acquire(holder, fresh=True), states.SEND)
            reader = await self.connection.heard(self._config.response_seconds)
        if reader.failure is None:
            assert reader.head is not None, "heard"
            return reader.head
        # Where there is a head the response begins with a fault: nothing of it was passed on.
        raise reader.failure if reader.head is None else told_at_once(reader.failure)

    async def _leave(self) -> None:
        """Stop sending, and give the connection back."""
        try:
            if self._upload is not None:
                await self._upload.stop(None if self._lease is None else self._lease.connection)
        finally:
            # Also where the client leaves just now.
            self._give_back()

    def _give_back(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.connection.call_on_arrival(None)
            lease.release()
