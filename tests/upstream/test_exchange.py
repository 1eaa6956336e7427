"""One exchange under every order of bytes, pauses, losses, time limits and departures.

Whole requests and responses: test_client.py.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import UpstreamConfig
from gateway.errors import ContentCut, GatewayError
from gateway.upstream import Outbound, Purpose, UpstreamExchange
from gateway.upstream import exchange_state as states
from gateway.upstream.connections.pool import Pool, PoolStats
from gateway.upstream.connections.write_batch import WriteBatch
from gateway.upstream.tally import Tally
from gateway.upstream.upload import PLACE_BYTES
from tests.support.virtual_time import now, run

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 10.0
"""What the upstream may take; the user of the exchange waits for twice as long."""
CONFIG = UpstreamConfig(max_connections=2, response_seconds=SECONDS, idle_seconds=SECONDS)
FIELDS = [(b"Host", b"x")]
BODY = b"hello"
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"
RESPONSES = (
    KEPT,
    b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\n",
    UNTIL_CLOSE,
)


class Upstream:
    """The other ends of the connections that are dialled; each is sent the response once."""

    def __init__(self) -> None:
        self._response = KEPT
        self._left = b""
        self._ends: list[socket.socket] = []

    async def dial(self, protocol: Callable[[], asyncio.Protocol]) -> object:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._ends.append(theirs)
        self._left = self._response
        return await asyncio.get_running_loop().create_connection(protocol, sock=ours)

    def answer_with(self, response: bytes) -> None:
        """Whatever is sent from now on is of this response."""
        self._left = self._response = response

    def send(self, count: int) -> None:
        """The next bytes of the response."""
        self._write(self._left[:count])
        self._left = self._left[count:]

    def babble(self) -> None:
        self._write(b"\x00HTTP\r\n\r\n")

    def finish(self) -> None:
        with suppress(OSError):
            self._ends[-1].shutdown(socket.SHUT_WR)

    def read(self) -> None:
        with suppress(OSError):
            self._ends[-1].recv(1 << 20)

    def close(self) -> None:
        for end in self._ends:
            end.close()

    def _write(self, data: bytes) -> None:
        with suppress(OSError):
            self._ends[-1].send(data)


class Sent:
    """A client's content that comes when the test says so."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.pieces.put_nowait(b"x" * PLACE_BYTES)

    async def read(self) -> bytes:
        piece = await self.pieces.get()
        if isinstance(piece, Exception):
            raise piece
        return piece


class User:
    """Goes by callbacks as far as that leads, then by a block, as a client's cycle does."""

    def __init__(self, exchange: UpstreamExchange) -> None:
        self.exchange = exchange
        self.content = b""
        self.is_whole = False
        self._reading: asyncio.Task[None] | None = None
        self._has_block = False

    def begin(self, by_callbacks: bool) -> None:
        if not (by_callbacks and self.exchange.begin_at_once(self._on_arrival)):
            self._read_on()

    def pause(self) -> None:
        if self.exchange.state is states.CALLING:
            self.exchange.pause()
            self._read_on()

    async def leave(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        if not self._has_block:
            self.exchange.abandon()

    def _on_arrival(self) -> None:
        content = self.exchange.take_whole()
        if content is None:
            self.pause()
        else:
            self.content, self.is_whole = content, True

    def _read_on(self) -> None:
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        self._has_block = True
        try:
            async with asyncio.timeout(2 * SECONDS):
                async with self.exchange as response:
                    while piece := await response.read():
                        self.content += piece
            self.is_whole = True
        except TimeoutError:
            self.exchange.time_out()
        except (GatewayError, ContentCut):
            pass


STEPS = st.one_of(
    st.integers(1, 200),
    st.sampled_from(["wait", "wait", "time", "pause", "leave"]),
    st.sampled_from(["read", "babble", "finish", "close"]),
    st.sampled_from([b"more", b"", "fault"]),
)


async def take(step: object, upstream: Upstream, sent: Sent, user: User) -> None:
    match step:
        case int():
            upstream.send(step)
        case bytes():
            sent.pieces.put_nowait(step)
        case "fault":
            sent.pieces.put_nowait(ContentCut())
        case "wait":
            await asyncio.sleep(0.1)
        case "time":
            await asyncio.sleep(0.7 * SECONDS)
        case "pause":
            user.pause()
        case "leave":
            await user.leave()
        case _:
            getattr(upstream, str(step))()


async def interleaved(
    response: bytes, method: str, steps: list[object], *, by_callbacks: bool, has_upload: bool
) -> None:
    upstream, batch, tally = Upstream(), WriteBatch(), Tally(now)
    pool = Pool(upstream.dial, CONFIG, batch)

    def exchange(content: Sent | bytes, holder: bytes) -> UpstreamExchange:
        outbound = Outbound(method, "/", FIELDS, Purpose.RELAY, holder=holder)
        parts = {"pool": pool, "tally": tally, "write_batch": batch, "config": CONFIG}
        return UpstreamExchange(outbound, content, **parts)  # type: ignore[arg-type]

    first = User(exchange(b"", b""))
    first.begin(False)
    await asyncio.sleep(0.1)
    upstream.send(1000)
    await asyncio.sleep(0.1)
    upstream.answer_with(response)
    counted = sum(tally.requests.values())
    sent = Sent()
    user = User(exchange(sent if has_upload else b"", b"a client"))
    user.begin(by_callbacks and not has_upload)
    for step in steps:
        await take(step, upstream, sent, user)
    await asyncio.sleep(0.1)
    await user.leave()
    if "babble" not in steps:
        assert BODY.startswith(user.content)
        assert user.content == BODY or not user.is_whole or response is UNTIL_CLOSE
    state = user.exchange.state
    assert state in {states.OVER, states.FAILED, states.LEFT}
    assert not user.is_whole or state is states.OVER
    assert sum(tally.requests.values()) == counted + (state is not states.LEFT)
    assert batch.under_way == 0
    idle = pool.stats().idle
    assert pool.stats() == PoolStats(busy=0, idle=idle, queued=0)
    leases = [await pool.acquire(b"a client"), await pool.acquire()]
    for lease in leases:
        lease.release()
    upstream.close()
    pool.close()
    await asyncio.sleep(0.1)
    assert pool.stats() == PoolStats(busy=0, idle=0, queued=0)


@given(
    response=st.sampled_from(RESPONSES),
    method=st.sampled_from(["GET", "POST"]),
    steps=st.lists(STEPS, max_size=12),
    by_callbacks=st.booleans(),
    has_upload=st.booleans(),
)
def test_every_interleaving_ends_in_one_of_the_ends_and_gives_everything_back(
    response: bytes, method: str, steps: list[object], by_callbacks: bool, has_upload: bool
) -> None:
    run(interleaved(response, method, steps, by_callbacks=by_callbacks, has_upload=has_upload))


async def test_a_move_that_is_not_in_the_table_is_an_assertion() -> None:
    upstream, batch = Upstream(), WriteBatch()
    pool = Pool(upstream.dial, CONFIG, batch)
    outbound = Outbound("GET", "/", FIELDS, Purpose.RELAY)
    exchange = UpstreamExchange(
        outbound, b"", pool=pool, tally=Tally(now), write_batch=batch, config=CONFIG
    )
    with pytest.raises(AssertionError):
        exchange.pause()
    with pytest.raises(AssertionError):
        await exchange.__aexit__(None, None, None)
