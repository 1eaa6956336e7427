"""The upstream as the rest of the gateway sees it: a request goes in, a response comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.durations import Durations
from gateway.errors import BadGateway, ContentCut, GatewayTimeout, ResponseTooLarge
from gateway.protocols.http.content_coding import InflatesTooFar, Undecodable, codings, inflated
from gateway.protocols.http.fields import without
from gateway.upstream.address import Address
from gateway.upstream.connections.connection import UpstreamConnection
from gateway.upstream.connections.pool import Pool, PoolStats
from gateway.upstream.connections.write_batch import WriteBatch
from gateway.upstream.exchange import UpstreamExchange
from gateway.upstream.messages.messages import Heard, Outbound, Purpose, UpstreamResponse
from gateway.upstream.signs import Trouble
from gateway.upstream.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config import UpstreamConfig
    from gateway.errors import Field
    from gateway.upstream.upload import Content


_OWN = frozenset({Purpose.READ, Purpose.POLL, Purpose.CANCEL})
PROBED = "/api"
"""The path of probes: TheEye answers it without a token or a look-up (recording health)."""
_IDENTITY = (b"Accept-Encoding", b"identity")


@dataclass(frozen=True, slots=True)
class UpstreamStats:
    """Requests to the upstream so far, by purpose and status class ("5xx", "failed")."""

    pool: PoolStats
    requests: Mapping[tuple[str, str], int]
    seconds: Mapping[str, Durations]
    """Times until responses began, or the upstream failed, by purpose."""


class Upstream:
    """One orchestrator at one address. ``clock`` gives monotonic seconds."""

    def __init__(self, config: UpstreamConfig, clock: Callable[[], float]) -> None:
        self.config = config
        self._address = Address(config)
        self.host = self._address.host
        self.write_batch = WriteBatch()
        """For small writes to either side; counts the exchanges that go by callbacks."""
        self.pool = Pool(self._address.dial, config, self.write_batch)
        self._tally = Tally(clock)
        self.signs = self._tally.signs

    def stats(self) -> UpstreamStats:
        return UpstreamStats(self.pool.stats(), self._tally.requests, dict(self._tally.seconds))

    async def probe(self, seconds: float) -> bool:
        """True if the upstream answers within ``seconds``, and not with 5xx, on a connection of its
        own, however busy the others."""
        made: list[UpstreamConnection] = []

        def protocol() -> UpstreamConnection:
            made.append(UpstreamConnection(_forget, self.config.buffer_bytes, self.write_batch))
            return made[-1]

        timed_out = False
        try:
            async with asyncio.timeout(seconds):
                await self._address.dial(protocol)
                await self._probe_on(made[-1], seconds)
        except TimeoutError:
            timed_out = True
        except OSError:
            made.clear()
        finally:
            for connection in made:
                connection.close()
        head = made[-1].reader.head if made else None
        is_silent = timed_out and bool(made) and made[-1].sent_at is not None
        trouble = Trouble.SILENT if is_silent else Trouble.UNREACHABLE
        return self._tally.probed(0 if head is None else head.status, trouble)

    async def _probe_on(self, connection: UpstreamConnection, seconds: float) -> None:
        fields = [(b"Host", self.host), (b"Connection", b"close")]
        connection.sent_at = self._tally.clock()
        connection.send(Outbound("GET", PROBED, fields, Purpose.PROBE).head(), method="GET")
        reader = connection.reader
        while reader.head is None and reader.failure is None:
            await connection.arrived(2 * seconds)

    def exchange(self, outbound: Outbound, content: Content | bytes = b"") -> UpstreamExchange:
        """Make a request that is not sent yet; an ``async with`` block sends it."""
        return UpstreamExchange(
            outbound,
            content,
            pool=self.pool,
            tally=self._tally,
            write_batch=self.write_batch,
            config=self.config,
        )

    async def request(
        self,
        method: str,
        target: str,
        fields: Sequence[Field],
        content: bytes = b"",
        *,
        purpose: Purpose,
        max_bytes: int,
        make_room: Callable[[int], None] | None = None,
        heard: Heard | None = None,
    ) -> UpstreamResponse:
        """Send a request of our own, or one held as a whole, and read the whole response.

        ``Host`` and ``Content-Length`` are added to ``fields`` where they are missing. The
        response to a request of our own has no content coding; ``max_bytes`` holds without one.
        ``make_room`` is asked for so many bytes of content before they are kept, and may raise.
        ``heard`` is told what became of it.

        Raises:
            BadGateway: not reachable, no HTTP, or cut.
            ResponseTooLarge: more than ``max_bytes``.
            GatewayTimeout: no response in time.
            Overloaded: all connections are in use.
        """
        names = {name.lower() for name, _ in fields}
        complete = list(fields)
        if b"host" not in names:
            complete.insert(0, (b"Host", self.host))
        if content and b"content-length" not in names:
            complete.append((b"Content-Length", b"%d" % len(content)))
        is_own = purpose in _OWN
        if is_own:
            complete.append(_IDENTITY)
        exchange = self.exchange(Outbound(method, target, complete, purpose), content)
        try:
            async with asyncio.timeout(self.config.response_seconds):
                async with exchange:
                    body = await _read_all(exchange, max_bytes, make_room)
        except TimeoutError:
            exchange.time_out()
            raise GatewayTimeout("The upstream did not end its answer in time") from None
        except ContentCut:
            raise BadGateway("The upstream's answer ended early") from None
        finally:
            if heard is not None:
                heard.note(exchange.status, exchange.seconds)
                heard.was_sent = heard.was_sent or exchange.sent_at > 0
        head = exchange.head
        kept = head.passed_on()
        if head.length is None and body:
            # What was chunked has a length now.
            kept.append((b"Content-Length", b"%d" % len(body)))
        reply = UpstreamResponse(head.status, head.reason, kept, body)
        if is_own and codings(kept):
            # It was requested without any. In a thread: zlib lets the others run meanwhile.
            if make_room is not None:
                make_room(max_bytes - len(body))
            return await asyncio.to_thread(_plain, reply, max_bytes)
        return reply

    def close(self) -> None:
        self.pool.close()


async def _read_all(
    exchange: UpstreamExchange, max_bytes: int, make_room: Callable[[int], None] | None
) -> bytes:
    """The content of a response. ``make_room`` is asked for so many bytes before they are kept.

    Raises:
        ResponseTooLarge: it is longer than ``max_bytes``.
        ContentCut: it ended early.
        Exception: as ``make_room`` raises.
    """
    length = exchange.head.length or 0
    # Not a list: chunks of a few bytes would take many times their length.
    content = bytearray()
    room = 0
    while length <= max_bytes and len(content) <= max_bytes:
        if make_room is not None and room < length:
            make_room(length)
            room = length
        chunk = await exchange.read()
        if not chunk:
            return bytes(content)
        content += chunk
        if make_room is not None and room < len(content):
            make_room(len(content) - room)
            room = len(content)
    size = f"{length} bytes" if length else f"more than {max_bytes} bytes"
    raise ResponseTooLarge(f"The upstream's answer has {size}; the limit here is {max_bytes}")


def _forget(connection: UpstreamConnection) -> None:
    """Do nothing: no pool keeps a probe's connection."""


def _plain(reply: UpstreamResponse, max_bytes: int) -> UpstreamResponse:
    """The reply without a content coding.

    Raises:
        ResponseTooLarge: it has more than ``max_bytes`` then.
        BadGateway: the coding cannot be undone.
    """
    try:
        content = inflated(reply.content, reply.fields, max_bytes)
    except InflatesTooFar:
        message = f"The upstream's answer has more than {max_bytes} bytes, the limit here"
        raise ResponseTooLarge(message) from None
    except Undecodable:
        raise BadGateway("The upstream's answer has a content coding not asked for") from None
    fields = without(reply.fields, b"content-encoding", b"content-length")
    fields.append((b"Content-Length", b"%d" % len(content)))
    return UpstreamResponse(reply.status, reply.reason, fields, content)
