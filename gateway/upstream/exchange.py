"""One request to the upstream and its answer, on a connection of the pool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, Self

from gateway.errors import AnswerTooLarge, BadGateway, ClientGone, ContentCut, GatewayError
from gateway.upstream.answer import StaleConnection
from gateway.upstream.messages import IDEMPOTENT, Head, Outbound, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gateway.upstream.connection import Connection
    from gateway.upstream.origin import Upstream

_RELAY = Purpose.RELAY
STATUS_CLASSES = {n: f"{n}xx" for n in range(10)}


def _told_at_once(failure: Exception) -> Exception:
    """What to raise where the answer's content broke off before anybody has seen its head."""
    is_the_upstreams = isinstance(failure, ContentCut) and not isinstance(failure, ClientGone)
    return (
        BadGateway("The upstream's answer broke off as it began") if is_the_upstreams else failure
    )


class Content(Protocol):
    """A request's content, fetched piece by piece."""

    async def read(self) -> bytes:
        """The next piece, empty at the end."""
        raise NotImplementedError


class UpstreamExchange:
    """One request sent and its answer read; leaving the block frees or closes the connection."""

    __slots__ = (
        "_config",
        "_connection",
        "_content",
        "_is_counted",
        "_is_relayed",
        "_outbound",
        "_upload",
        "_upstream",
        "head",
    )

    head: Head

    def __init__(self, upstream: Upstream, outbound: Outbound, content: Content | bytes) -> None:
        self._upstream = upstream
        self._config = upstream.config
        self._outbound = outbound
        self._is_relayed = outbound.purpose is _RELAY
        self._content = content
        self._connection: Connection | None = None
        self._upload: asyncio.Task[None] | None = None
        self._is_counted = False
        """Among those whose number says whether small writes are gathered."""

    def begin_at_once(self, on_arrival: Callable[[], None]) -> bool:
        """Send the request if that takes no waiting, and have all that comes back told.

        Then either ``take_whole`` or ``abandon`` ends the exchange, or the block goes on with it.
        """
        connection = self._upstream.pool.take(relayed=self._is_relayed)
        if connection is None:
            return False
        self._upstream.outbox.under_way += 1
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
        head = connection.answer.head
        assert head is not None, "an answer is whole with its head"
        self.head = head
        self._upstream.count(self._outbound.purpose, STATUS_CLASSES[head.status // 100], None)
        self._give_back()
        return content

    def pause(self) -> None:
        """Tell nothing more; the block is to go on with it, however long that takes."""
        self._count_off()
        if self._connection is not None:
            self._connection.call_on_arrival(None)

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self._give_back()

    async def __aenter__(self) -> Self:
        upstream, outbound = self._upstream, self._outbound
        try:
            if self._connection is None:
                self._begin(await upstream.pool.acquire(relayed=self._is_relayed))
            answer = self.connection.answer
            while answer.head is None and answer.failure is None:
                await self.connection.arrived(self._config.response_seconds)
            if answer.head is None:
                self.head = await self._instead_of(answer.failure)
            elif answer.failure is None:
                self.head = answer.head
            else:
                # It begins with a fault: nothing of it was passed on.
                raise _told_at_once(answer.failure)
        except BaseException as failure:
            await self._leave()
            if isinstance(failure, GatewayError):
                upstream.count(outbound.purpose, "failed", failure)
            raise
        upstream.count(outbound.purpose, STATUS_CLASSES[self.head.status // 100], None)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._upload is None:
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

    async def read_all(self, max_bytes: int) -> bytes:
        """The whole content.

        Raises:
            AnswerTooLarge: it is longer than ``max_bytes``.
            ContentCut: it ended early.
        """
        length = self.head.length or 0
        chunks: list[bytes] = []
        total = 0
        while length <= max_bytes and total <= max_bytes:
            chunk = await self.read()
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            total += len(chunk)
        size = f"{length} bytes" if length else f"more than {max_bytes} bytes"
        raise AnswerTooLarge(f"The upstream's answer has {size}; the limit here is {max_bytes}")

    @property
    def connection(self) -> Connection:
        """The connection itself, for a protocol other than HTTP after a 101."""
        assert self._connection is not None
        return self._connection

    def _begin(self, connection: Connection) -> None:
        self._connection = connection
        outbound, content = self._outbound, self._content
        head = outbound.head()
        if isinstance(content, bytes):
            connection.send(head + content, method=outbound.method, upgrade=outbound.upgrade)
            return
        connection.send(head, method=outbound.method)
        self._upload = asyncio.get_running_loop().create_task(
            self._send_content(connection, content), name="upload"
        )

    async def _instead_of(self, failure: Exception | None) -> Head:
        """Send once more what met a connection that was being closed, if nothing forbids it."""
        if not isinstance(failure, StaleConnection):
            raise failure or BadGateway
        await self._leave()
        if self._outbound.method not in IDEMPOTENT or not isinstance(self._content, bytes):
            raise BadGateway("The upstream closed the connection without an answer")
        self._begin(await self._upstream.pool.acquire(relayed=self._is_relayed, fresh=True))
        answer = self.connection.answer
        while answer.head is None:
            if answer.failure is not None:
                raise answer.failure
            await self.connection.arrived(self._config.response_seconds)
        return answer.head

    async def _send_content(self, connection: Connection, content: Content) -> None:
        """Send the content while the answer is already awaited: it may come before the end."""
        chunked = not any(name.lower() == b"content-length" for name, _ in self._outbound.fields)
        try:
            while chunk := await content.read():
                await connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                connection.extend(self._config.response_seconds)
            if chunked:
                await connection.write(b"0\r\n\r\n")
        except (GatewayError, ContentCut) as failure:
            if connection.is_open:
                connection.fail(failure)

    async def _leave(self) -> None:
        connection = self._connection
        upload, self._upload = self._upload, None
        try:
            if upload is not None and not upload.done():
                # The answer came first: what the upstream would read next is unknown.
                if connection is not None:
                    connection.close()
                upload.cancel()
                await asyncio.wait([upload])
        finally:
            # Also where the client leaves just now.
            self._give_back()

    def _count_off(self) -> None:
        if self._is_counted:
            self._is_counted = False
            self._upstream.outbox.under_way -= 1

    def _give_back(self) -> None:
        self._count_off()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.call_on_arrival(None)
            self._upstream.pool.release(connection, relayed=self._is_relayed)
