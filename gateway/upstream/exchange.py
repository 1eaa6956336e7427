"""One request to the upstream and its answer, on a connection of the pool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from gateway.errors import BadGateway, ContentCut, GatewayError, GatewayTimeout, ResponseTooLarge
from gateway.protocols.http.fields import has_length
from gateway.upstream.failures import is_the_upstreams, told_at_once
from gateway.upstream.messages.messages import IDEMPOTENT, Head, Outbound
from gateway.upstream.messages.response_reader import StaleConnection
from gateway.upstream.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gateway.upstream.client import Upstream
    from gateway.upstream.connections.connection import Connection
    from gateway.upstream.upload import Content

STATUS_CLASSES: Final = {n: f"{n}xx" for n in range(10)}


class UpstreamExchange:
    """One request sent and its answer read; leaving the block frees or closes the connection."""

    __slots__ = (
        "_config",
        "_connection",
        "_content",
        "_holder",
        "_is_counted",
        "_outbound",
        "_sending",
        "_sent_at",
        "_upload",
        "_upstream",
        "head",
        "seconds",
        "status",
    )

    head: Head

    def __init__(self, upstream: Upstream, outbound: Outbound, content: Content | bytes) -> None:
        self._upstream = upstream
        self._config = upstream.config
        self._outbound = outbound
        self._holder = outbound.holder
        self._upload: Upload | None = None
        self._content = b""
        """All of it, where that is at hand."""
        if isinstance(content, bytes):
            self._content = content
        else:
            is_chunked = not has_length(outbound.fields)
            seconds = upstream.config.response_seconds
            self._upload = Upload(content, upstream.clock, is_chunked=is_chunked, seconds=seconds)
        self._connection: Connection | None = None
        self._sending: asyncio.Task[None] | None = None
        """Sends what of the content was not at hand."""
        self._sent_at = 0.0
        self.status = 0
        """The answer's, 0 while there is none."""
        self.seconds = 0.0
        """How long the upstream took to begin its answer, to fail, or until nobody waited for it
        any more; 0 while it is waited for."""
        self._is_counted = False
        """Among those whose number says whether small writes are gathered."""

    def begin_at_once(self, on_arrival: Callable[[], None]) -> bool:
        """Send the request if that takes no waiting, and have all that comes back told.

        Then either ``take_whole`` or ``abandon`` ends the exchange, or the block goes on with it.
        """
        connection = self._upstream.pool.take(self._holder)
        if connection is None:
            return False
        self._upstream.write_batch.under_way += 1
        self._is_counted = True
        self._begin(connection)
        connection.call_on_arrival(on_arrival, self._config.response_seconds)
        return True

    def take_whole(self) -> bytes | None:
        """The answer's content, with which the exchange ends; None while there is not all of it,
        or where something is wrong with it.
        """
        connection = self.connection
        content = connection.take_whole()
        if content is None:
            return None
        head = connection.reader.head
        assert head is not None, "an answer is whole with its head"
        self.head = head
        self._answered(head.status)
        self._give_back()
        return content

    def time_out(self) -> None:
        """Note that its user's patience has ended, also where nothing was answered yet."""
        if not self.status:
            self._failed(GatewayTimeout())

    def pause(self) -> None:
        """Tell nothing more; the block is to go on with it, however long that takes."""
        self._count_off()
        if self._connection is not None:
            self._connection.call_on_arrival(None)

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self._left()
        self._give_back()

    async def __aenter__(self) -> Self:
        upstream = self._upstream
        if self._upload is not None:
            await self._gather(self._upload)
        try:
            if self._connection is None:
                self._begin(await upstream.pool.acquire(self._holder))
            reader = self.connection.reader
            while reader.head is None and reader.failure is None:
                await self.connection.arrived(self._config.response_seconds)
            if reader.head is None:
                self.head = await self._instead_of(reader.failure)
            elif reader.failure is None:
                self.head = reader.head
            else:
                # It begins with a fault: nothing of it was passed on.
                raise told_at_once(reader.failure)
        except BaseException as failure:
            await self._leave()
            if isinstance(failure, GatewayError):
                is_stalled = self._upload is not None and self._upload.awaits_client
                # An upstream that loses patience with a client is not failing.
                self._failed(ContentCut() if is_stalled else failure)
            else:
                self._left()
            raise
        self._answered(self.head.status)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sending is None:
            self._give_back()
        else:
            await self._leave()

    def take(self) -> bytes | None:
        """The content that has arrived, empty at its end, None where ``arrived`` must be awaited.

        Raises:
            ContentCut: it ended early, or the upstream stalled.
        """
        return self.connection.take()

    async def arrived(self) -> None:
        """Wait for more of the content."""
        await self.connection.arrived(self._config.idle_seconds)

    async def read(self) -> bytes:
        """The next piece of the content, empty at its end; raises as ``take``."""
        while (chunk := self.connection.take()) is None:
            await self.connection.arrived(self._config.idle_seconds)
        return chunk

    async def read_all(
        self, max_bytes: int, make_room: Callable[[int], None] | None = None
    ) -> bytes:
        """The whole content. ``make_room`` is asked for so many bytes before they are kept.

        Raises:
            ResponseTooLarge: it is longer than ``max_bytes``.
            ContentCut: it ended early.
            Exception: as ``make_room`` raises.
        """
        length = self.head.length or 0
        # Not a list: chunks of a few bytes would take many times their length.
        content = bytearray()
        room = 0
        while length <= max_bytes and len(content) <= max_bytes:
            if make_room is not None and room < length:
                make_room(length)
                room = length
            chunk = await self.read()
            if not chunk:
                return bytes(content)
            content += chunk
            if make_room is not None and room < len(content):
                make_room(len(content) - room)
                room = len(content)
        size = f"{length} bytes" if length else f"more than {max_bytes} bytes"
        raise ResponseTooLarge(f"The upstream's answer has {size}; the limit here is {max_bytes}")

    @property
    def connection(self) -> Connection:
        """The connection itself, for a protocol other than HTTP after a 101."""
        assert self._connection is not None
        return self._connection

    def _answered(self, status: int) -> None:
        upstream = self._upstream
        now = upstream.clock()
        self.status = status
        self.seconds = now - self._waited_since()
        upstream.count(self._outbound.purpose, STATUS_CLASSES[status // 100], now, self.seconds)

    def _failed(self, failure: Exception) -> None:
        upstream = self._upstream
        now = upstream.clock()
        if self._sent_at and is_the_upstreams(failure):
            self.seconds = now - self._waited_since()
        upstream.count_failure(self._outbound.purpose, failure, now, self.seconds)

    def _left(self) -> None:
        """Its user has gone; the upstream took so long, and would have taken longer."""
        is_stalled = self._upload is not None and self._upload.awaits_client
        if self._sent_at and not self.status and not is_stalled:
            self.seconds = self._upstream.clock() - self._waited_since()

    def _waited_since(self) -> float:
        """From when on it was the upstream's turn: what a client sends slowly is no time of its."""
        upload = self._upload
        return self._sent_at if upload is None else max(self._sent_at, upload.passed_on_at)

    def _begin(self, connection: Connection) -> None:
        self._connection = connection
        self._sent_at = connection.sent_at = self._upstream.clock()
        outbound, upload = self._outbound, self._upload
        content = self._content if upload is None else upload.gathered
        message = outbound.head() + content
        connection.send(message, method=outbound.method, upgrade=outbound.upgrade)
        if upload is not None:
            self._sending = asyncio.get_running_loop().create_task(
                upload.send_rest(connection), name="upload"
            )

    async def _instead_of(self, failure: Exception | None) -> Head:
        """Send once more what met a connection that was being closed, if nothing forbids it."""
        if not isinstance(failure, StaleConnection):
            raise failure or BadGateway
        await self._leave()
        if self._outbound.method not in IDEMPOTENT or self._upload is not None:
            raise BadGateway("The upstream closed the connection without an answer")
        self._begin(await self._upstream.pool.acquire(self._holder, fresh=True))
        reader = self.connection.reader
        while reader.head is None:
            if reader.failure is not None:
                raise reader.failure
            await self.connection.arrived(self._config.response_seconds)
        return reader.head

    async def _gather(self, upload: Upload) -> None:
        await upload.gather()
        if upload.is_whole:
            self._content, self._upload = upload.gathered, None

    async def _leave(self) -> None:
        connection = self._connection
        sending, self._sending = self._sending, None
        try:
            if sending is not None and not sending.done():
                # The answer came first: what the upstream would read next is unknown.
                if connection is not None:
                    connection.close()
                sending.cancel()
                await asyncio.wait([sending])
        finally:
            # Also where the client leaves just now.
            self._give_back()

    def _count_off(self) -> None:
        if self._is_counted:
            self._is_counted = False
            self._upstream.write_batch.under_way -= 1

    def _give_back(self) -> None:
        self._count_off()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.call_on_arrival(None)
            self._upstream.pool.release(connection, self._holder)
