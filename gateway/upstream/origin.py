"""The upstream as the rest of the gateway sees it: a request goes in, an answer comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from gateway.errors import AnswerTooLarge, BadGateway, ContentCut, GatewayError, GatewayTimeout
from gateway.upstream.address import Address
from gateway.upstream.answer import StaleConnection
from gateway.upstream.connection import Connection
from gateway.upstream.messages import IDEMPOTENT, Head, Outbound, Purpose, Reply
from gateway.upstream.pool import Pool, PoolStats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from gateway.config import UpstreamConfig
    from gateway.errors import Field


STATUS_CLASSES = {n: f"{n}xx" for n in range(10)}


class Content(Protocol):
    """A request's content, fetched piece by piece."""

    async def read(self) -> bytes:
        """The next piece, empty at the end."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class UpstreamStats:
    """What was asked of the upstream so far, by purpose and status class ("5xx", "failed")."""

    pool: PoolStats
    requests: Mapping[tuple[str, str], int]


class Upstream:
    """One orchestrator at one address. ``clock`` gives monotonic seconds."""

    def __init__(self, config: UpstreamConfig, clock: Callable[[], float]) -> None:
        self.config = config
        self._address = Address(config)
        self.host = self._address.host
        self._clock = clock
        self.pool = Pool(self._address.dial, config)
        self._requests: Counter[tuple[str, str]] = Counter()
        self.failing_since: float | None = None
        """When the upstream was first not reachable since it last answered; None while it is."""

    def stats(self) -> UpstreamStats:
        return UpstreamStats(self.pool.stats(), dict(self._requests))

    async def probe(self) -> bool:
        """Whether the upstream accepts a connection, one of its own, however busy the others."""
        try:
            async with asyncio.timeout(self.config.connect_seconds):
                transport, _ = await self._address.dial(asyncio.Protocol)
        except (OSError, TimeoutError):
            self.count(Purpose.PROBE, "failed", BadGateway())
            return False
        transport.close()
        self.count(Purpose.PROBE, "2xx", None)
        return True

    def exchange(self, outbound: Outbound, content: Content | bytes = b"") -> UpstreamExchange:
        """A request and its answer, to be used as an ``async with`` block."""
        return UpstreamExchange(self, outbound, content)

    async def ask(
        self,
        method: str,
        target: str,
        fields: Sequence[Field],
        content: bytes = b"",
        *,
        purpose: Purpose,
        max_bytes: int,
    ) -> Reply:
        """Send a request of our own, or one held as a whole, and read the whole answer.

        ``Host`` and ``Content-Length`` are added to ``fields`` where they are missing.

        Raises:
            BadGateway: not reachable, no HTTP, or cut.
            AnswerTooLarge: more than ``max_bytes``.
            GatewayTimeout: no answer in time.
            Overloaded: all connections are in use.
        """
        names = {name.lower() for name, _ in fields}
        complete = list(fields)
        if b"host" not in names:
            complete.insert(0, (b"Host", self.host))
        if content and b"content-length" not in names:
            complete.append((b"Content-Length", b"%d" % len(content)))
        outbound = Outbound(method, target, complete, purpose)
        try:
            async with asyncio.timeout(self.config.response_seconds):
                async with self.exchange(outbound, content) as answer:
                    body = await answer.read_all(max_bytes)
        except TimeoutError:
            raise GatewayTimeout("The upstream did not end its answer in time") from None
        except ContentCut:
            raise BadGateway("The upstream's answer ended early") from None
        head = answer.head
        kept = head.passed_on()
        if head.length is None and body:
            # What was chunked has a length now.
            kept.append((b"Content-Length", b"%d" % len(body)))
        return Reply(head.status, head.reason, kept, body)

    def close(self) -> None:
        self.pool.close()

    def count(self, purpose: Purpose, result: str, failure: Exception | None) -> None:
        """Keep the books on one request; ``result`` is a status class or "failed"."""
        self._requests[purpose.value, result] += 1
        if failure is None:
            self.failing_since = None
        elif isinstance(failure, BadGateway | GatewayTimeout) and self.failing_since is None:
            self.failing_since = self._clock()


class UpstreamExchange:
    """One request sent and its answer read; leaving the block frees or closes the connection."""

    __slots__ = ("_config", "_connection", "_content", "_outbound", "_upload", "_upstream", "head")

    head: Head

    def __init__(self, upstream: Upstream, outbound: Outbound, content: Content | bytes) -> None:
        self._upstream = upstream
        self._config = upstream.config
        self._outbound = outbound
        self._content = content
        self._connection: Connection | None = None
        self._upload: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        upstream, outbound = self._upstream, self._outbound
        try:
            self._begin(upstream.pool.take() or await upstream.pool.acquire())
            answer = self.connection.answer
            while answer.head is None and answer.failure is None:
                await self.connection.arrived(self._config.response_seconds)
            self.head = answer.head or await self._instead_of(answer.failure)
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
        self._begin(await self._upstream.pool.acquire(fresh=True))
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
        if upload is not None:
            if not upload.done():
                # The answer came first: what the upstream would read next is unknown.
                if connection is not None:
                    connection.close()
                upload.cancel()
            await asyncio.wait([upload])
        self._give_back()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._upstream.pool.release(connection)
