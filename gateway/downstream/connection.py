"""One client's connection: its requests are read and answered one after the other.

While a request is being answered only its content is read. What follows waits unparsed, a little
of it here (``UNREAD_BYTES``), so that a client that leaves is noticed, and the rest in the kernel.
Between two requests that came at once, and between two portions of content, everybody else has a
turn. ``connection_state`` has the states and a picture of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from gateway.downstream.connection_state import (
    ANSWERING,
    CLOSING,
    IDLE,
    LINGERING,
    MOVES,
    RELAYING,
    STATES,
)
from gateway.downstream.content import RequestContent
from gateway.downstream.deadline import Deadline
from gateway.downstream.messages.request_head import RequestHead
from gateway.downstream.messages.request_reader import RequestReader
from gateway.downstream.peer import Peer
from gateway.downstream.request import Client
from gateway.errors import ClientGone, RequestTimeout

if TYPE_CHECKING:
    from gateway.downstream.listening.seat import Seat
    from gateway.downstream.terms import RequestCycle, Terms

LINGER_SECONDS: Final = 5.0
"""How long leftovers are read after a response, so that the client gets to see it."""


class Connection(asyncio.Protocol):
    """Is among ``connections`` while it is open. ``has_place``: else it is there to be told that
    there is none."""

    peer: Peer
    _seat: Seat

    def __init__(
        self, terms: Terms, connections: set[Connection], *, has_place: bool = True
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._terms = terms
        self._connections = connections
        self._has_place = has_place
        self._keepalive_seconds = terms.keepalive_seconds
        self._reader = RequestReader(terms.target_bytes, terms.fields_bytes)
        self._deadline = Deadline(self._loop, self._on_due)
        self.state = IDLE
        self._goes_on = False
        """Reading goes on in the loop's next iteration."""
        self._content: RequestContent | None = None
        """That of the request which is being answered."""
        self._cycle: RequestCycle | None = None
        """The one that goes by itself, or waits for its task to begin."""
        self._client: Client | None = None
        """Whoever sent the request which is being answered."""
        self._task: asyncio.Task[None] | None = None
        self._keeps = True
        """Another request may follow the one that was answered."""

    def _move(self, state: int) -> None:
        assert state in MOVES[self.state], f"{STATES[self.state]} to {STATES[state]}"
        self.state = state

    # --- requests

    def _meet(self, data: bytes, at: int) -> int:
        """Begin with a request whose head has come, and content that came along; where it ends."""
        reader, terms, seat = self._reader, self._terms, self._seat
        head, failure = reader.head, reader.failure
        if head is None:
            head = RequestHead.of_none(reader.method)
        elif not reader.is_complete:
            self._content = RequestContent(
                idle_seconds=terms.idle_seconds, floor=terms.floor, on_taken=self._steer
            )
            if at < len(data):
                at = reader.read(data, at)
                self._pass_on(self._content)
        self._deadline.lift()
        places = terms.seating.places
        self._client = client = Client(head, self._content, self.peer, places, terms.idle_seconds)
        self._cycle = cycle = terms.accept(client, seat.refusal or failure, seat.limit)
        if cycle.begin_at_once(self._on_progress):
            self._move(RELAYING)
        else:
            self._run(cycle)
        return at

    def _on_progress(self, is_over: bool) -> None:
        cycle, client = self._cycle, self._client
        assert cycle is not None
        assert client is not None
        if not is_over:
            self._run(cycle)
            return
        self._cycle = None
        if client.keeps_connection:
            self._over(client)
        else:
            # The response may be in a write batch, which is flushed first.
            self._loop.call_soon(self._over, client)

    def _run(self, cycle: RequestCycle) -> None:
        self._move(ANSWERING)
        self._task = self._terms.tasks.spawn(self._answer(cycle), name="answer a request")

    async def _answer(self, cycle: RequestCycle) -> None:
        client, self._cycle = self._client, None
        assert client is not None
        try:
            await cycle.run()
        except asyncio.CancelledError:
            self.peer.abort()
            raise
        self._task = None
        self._over(client)

    def _over(self, client: Client) -> None:
        """A request was answered: get to where another may follow, or to the end."""
        self._content = self._client = None
        self._keeps = client.keeps_connection
        if self.state == CLOSING:
            return
        if self._reader.is_complete or self._reader.failure is not None:
            self._go_back()
        else:
            self._move(LINGERING)
            self._deadline.set(LINGER_SECONDS)
            if not self._keeps:
                self.peer.half_close()
        self._steer()

    def _go_back(self) -> None:
        """Await another request where one may follow."""
        if self._keeps and self._reader.failure is None and not self.peer.is_gone:
            self._move(IDLE)
            self._reader.begin()
            if self._seat.refusal is None:
                self._keepalive_seconds = self._terms.keepalive_seconds
            self._deadline.set(self._keepalive_seconds)
        else:
            self._end()

    # --- reading

    @property
    def _wants_more(self) -> bool:
        """Somebody is there for what comes."""
        if self._reader.failure is not None:
            return False
        if self.state == ANSWERING:
            content = self._content
            return content is not None and not content.is_complete and not content.is_full
        return self.state == IDLE or self.state == LINGERING  # noqa: PLR1714 - faster than a set

    def _read(self, data: bytes, at: int) -> None:
        """Read a portion, and keep the rest."""
        reader = self._reader
        is_content, had_begun = reader.head is not None, reader.has_begun
        at = reader.read(data, at)
        if is_content:
            self._pass_on(self._content)
        elif reader.head is not None or reader.failure is not None:
            at = self._meet(data, at)
        elif reader.has_begun and not had_begun:
            self._deadline.set(self._terms.idle_seconds)
        if at < len(data) and self.state != CLOSING:
            self.peer.keep(data, at)
        self._steer()

    def _pass_on(self, content: RequestContent | None) -> None:
        """Pass content on; without anybody who reads it, it is dropped."""
        reader = self._reader
        pieces = reader.take()
        if content is not None:
            content.feed(pieces, is_last=reader.is_complete)
            if reader.failure is not None:
                content.fail(reader.failure)
        elif reader.is_complete or reader.failure is not None:
            self._go_back()

    def _steer(self) -> None:
        """Read on if somebody is there for what comes: first what was kept, soon."""
        peer = self.peer
        if not self._wants_more:
            return
        if not peer.has_unread:
            peer.resume_reading()
        elif not self._goes_on:
            self._goes_on = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        if self._wants_more and self.peer.has_unread:
            self._read(*self.peer.take())

    # --- its end

    def _end(self) -> None:
        """End it so that the client gets to see the response: what it has sent and nobody reads
        would reset the connection (RFC 9112, 9.6)."""
        peer = self.peer
        has_more = peer.has_unread or peer.is_paused or self._reader.failure is not None
        self._move(CLOSING)
        if has_more and peer.receive is None and peer.half_close():
            self._deadline.set(LINGER_SECONDS)
        else:
            self.close()

    def close(self) -> None:
        """End it when what was written is sent, or nobody has taken it in time."""
        if self.state != CLOSING:
            self._move(CLOSING)
        self.peer.close()
        self._deadline.set(self._terms.idle_seconds)

    def take_terms(self) -> None:
        """Keep to the listener's terms as they are by now, but for the time that it is idle in."""
        terms = self._terms
        self._reader.bound(terms.target_bytes, terms.fields_bytes)

    @property
    def is_idle(self) -> bool:
        """Nothing has come of a request."""
        return self.state == IDLE and not self.peer.has_unread and not self._reader.has_begun

    def close_if_idle(self, seconds: float) -> None:
        """End it if nothing has come of a request for so long."""
        until = self._deadline.at - self._keepalive_seconds + seconds
        if self.is_idle and self._loop.time() >= until:
            self._end()

    def _on_due(self) -> None:
        if self.state == CLOSING and self.peer.is_gone:
            self.peer.reset()
        elif self.state != IDLE:
            self.close()
        elif self._reader.has_begun:
            self._reader.failure = RequestTimeout("The request's head did not come in time")
            self._meet(b"", 0)
        else:
            self._end()

    # --- asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.peer = peer = Peer(cast("asyncio.Transport", transport))
        self._seat = seat = self._terms.seating.take(peer.address, has_place=self._has_place)
        self._connections.add(self)
        if seat.refusal is not None:
            self._keepalive_seconds = min(self._keepalive_seconds, LINGER_SECONDS)
        if seat.is_surplus:
            self.close()
        else:
            self._deadline.set(self._keepalive_seconds)

    def data_received(self, data: bytes) -> None:
        peer = self.peer
        if peer.receive is not None:
            peer.receive(data)
        elif self._wants_more and not peer.has_unread:
            self._read(data, 0)
        elif self.state != CLOSING:
            peer.keep(data, 0)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.peer.filled()

    def resume_writing(self) -> None:
        self.peer.drained()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        if self.state != CLOSING:
            self._move(CLOSING)
        self._deadline.close()
        self._reader.lost()
        self.peer.lost()
        content, self._content = self._content, None
        if content is not None:
            content.fail(ClientGone())
        cycle, self._cycle = self._cycle, None
        if cycle is not None:
            cycle.abandon()
        if self._task is not None:
            self._task.cancel()
        self._terms.seating.give_up(self._seat)
        self._connections.discard(self)
