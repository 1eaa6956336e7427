"""A connection under any order of events: bytes, answers, writability, time, drain and loss.

The connection is real, and so are its requests; the transport is a record of what it is told.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.downstream.connection import LINGER_SECONDS, Connection
from gateway.downstream.connection_state import (
    ANSWERING,
    CLOSING,
    IDLE,
    LINGERING,
    MOVES,
    RELAYING,
    STATES,
)
from gateway.downstream.listening.places import Places
from gateway.downstream.listening.seat import Seating
from gateway.downstream.peer import UNREAD_BYTES
from gateway.downstream.terms import Accept, RequestCycle, Terms
from gateway.errors import ClientGone, GatewayError, Response
from gateway.tasks import Tasks
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.downstream.request import Client

TURNS = 40
"""Of the loop: more than requests that stand in a row need."""
KINDS = ["waits", "task", "late-task", "early"]
"""How a request is answered: by callbacks, by a task, by a task after callbacks, by a task that
reads no content."""
CONTENT = [
    *[b"\r\n"] * 4,
    b"Content-Length: 5\r\n\r\nhello",
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
    b"Content-Length: 200000\r\n\r\n" + b"x" * 200_000,
]
SPOILT = [
    b"\x00",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /x HTTP/1.1\r\n" + b"X: " + b"x" * 9000,
]
LIMIT = 4096
KEEPALIVE_SECONDS, IDLE_SECONDS = 20.0, 60.0


class Wire(asyncio.Transport):
    """Tells ``connection`` what happens, and notes what it does."""

    def __init__(self, *, can_half_close: bool, fails: bool) -> None:
        super().__init__()
        self.connection: Connection | None = None
        self.written = b""
        self.is_read = True
        self.is_half_closed = False
        self.is_lost = False
        self.is_stuck = False
        """The client takes nothing of what was written."""
        self._can_half_close = can_half_close
        self._fails = fails
        self._is_closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        del name
        return default

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert not self._is_closing
        assert not self.is_half_closed
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if not self.is_stuck:
                asyncio.get_running_loop().call_soon(self.lose)

    def abort(self) -> None:
        self._is_closing = True
        asyncio.get_running_loop().call_soon(self.lose)

    def pause_reading(self) -> None:
        assert self.is_read
        self.is_read = False

    def resume_reading(self) -> None:
        assert not self.is_read
        self.is_read = True

    def can_write_eof(self) -> bool:
        return self._can_half_close

    def write_eof(self) -> None:
        if self._fails:
            raise OSError("not connected")
        self.is_half_closed = True

    def lose(self) -> None:
        self._is_closing = True
        if not self.is_lost and self.connection is not None:
            self.is_lost = True
            self.connection.connection_lost(None)


class Cycle:
    """Answers a request with its target, as the target says."""

    def __init__(self, client: Client, refusal: GatewayError | None) -> None:
        self.client = client
        self.is_over = False
        self.is_abandoned = False
        self.received = b""
        self.has_run = False
        self._refusal = refusal
        self._kind = client.target.split("/")[1]
        self._on_progress: Callable[[bool], None] | None = None

    @property
    def waits(self) -> bool:
        return self._on_progress is not None and not self.is_over and not self.is_abandoned

    def begin_at_once(self, on_progress: Callable[[bool], None]) -> bool:
        if self._refusal or self.client.has_content or self._kind not in {"waits", "late-task"}:
            return False
        self._on_progress = on_progress
        return True

    def progress(self) -> None:
        """The upstream has answered."""
        on_progress, self._on_progress = self._on_progress, None
        assert on_progress is not None
        if self._kind == "waits":
            self.client.begin(200, b"OK", self._length(), is_sized=True)
            self.client.write(self._content)
            self.client.finish()
            self.is_over = True
        on_progress(self.is_over)

    @property
    def _content(self) -> bytes:
        return self.client.target.encode()

    def _length(self) -> list[tuple[bytes, bytes]]:
        return [(b"Content-Length", b"%d" % len(self._content))]

    async def run(self) -> None:
        self.has_run = True
        try:
            status = 200
            if self._refusal is not None:
                status = self._refusal.status
                self.client.close_after_response()
            elif self._kind != "early":
                try:
                    while piece := await self.client.read():
                        self.received += piece
                except GatewayError as failure:
                    status = failure.status
            await self.client.send(Response(status, self._content, ()))
        except ClientGone:
            self.client.cut()
        finally:
            self.is_over = True

    def abandon(self) -> None:
        assert not self.is_over
        assert not self.has_run
        self.is_abandoned = self.is_over = True


def terms_of(accept: Accept, places: Places, tasks: Tasks) -> Terms:
    return Terms(
        accept,
        Seating(places, None, is_enforced=True),
        tasks,
        keepalive_seconds=KEEPALIVE_SECONDS,
        idle_seconds=IDLE_SECONDS,
        floor=0,
        target_bytes=LIMIT,
        fields_bytes=LIMIT,
    )


class Machine(RuleBasedStateMachine):
    """Sends requests and whatever else may happen, and checks what was answered."""

    @initialize(can_half_close=st.booleans(), fails=st.booleans(), lives=st.integers(1, 8))
    def connect(self, can_half_close: bool, fails: bool, lives: int) -> None:
        self.lives = lives
        """So many requests before anything ends the connection."""
        self.loop = VirtualTimeLoop()
        self.errors: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self.wire = Wire(can_half_close=can_half_close, fails=fails)
        self.cycles: list[Cycle] = []
        self.targets: list[bytes] = []
        """Of the requests sent, in order."""
        self.unsent = b""
        self.is_spoilt = self.is_draining = self.has_ended = False
        self.places = Places(100)
        self.connections: set[Connection] = set()
        self.tasks = Tasks()

        async def made() -> None:
            terms = terms_of(self.accept, self.places, self.tasks)
            self.connection = self.wire.connection = Connection(terms, self.connections)
            self.connection.connection_made(self.wire)

        self.loop.run_until_complete(made())

    def accept(self, client: Client, refusal: GatewayError | None, limit: str) -> RequestCycle:
        del limit
        assert all(cycle.is_over for cycle in self.cycles), "one after the other"
        if self.is_draining:
            client.close_after_response()
        self.cycles.append(Cycle(client, refusal))
        return self.cycles[-1]

    def within(self, act: Callable[[], object], seconds: float = 0.0) -> None:
        """Let it happen, and the loop take some turns."""

        async def acting() -> None:
            act()
            await asyncio.sleep(seconds)
            for _ in range(TURNS):
                await asyncio.sleep(0)

        self.loop.run_until_complete(acting())
        assert self.errors == []

    @rule(
        kind=st.sampled_from(KINDS),
        content=st.sampled_from(CONTENT),
        last=st.sampled_from([False] * 5 + [True]),
    )
    def send_request(self, kind: str, content: bytes, last: bool) -> None:
        if self.is_spoilt:
            return
        target = b"/%b/%d" % (kind.encode(), len(self.targets))
        self.targets.append(target)
        close = b"Connection: close\r\n" if last and b"Upgrade" not in content else b""
        self.is_spoilt = bool(close)
        self.unsent += b"POST %b HTTP/1.1\r\nHost: x\r\n" % target + close + content

    @precondition(lambda self: len(self.cycles) >= self.lives)
    @rule(spoilt=st.sampled_from(SPOILT))
    def send_what_is_no_request(self, spoilt: bytes) -> None:
        self.is_spoilt = True
        self.unsent += spoilt

    @precondition(lambda self: self.unsent)
    @rule(size=st.sampled_from([1, 20, 300, 70_000, 1_000_000, 1_000_000]))
    def deliver(self, size: int) -> None:
        if self.wire.is_read and not self.wire.is_closing():
            data, self.unsent = self.unsent[:size], self.unsent[size:]
            self.within(lambda: self.connection.data_received(data))

    @precondition(lambda self: any(cycle.waits for cycle in self.cycles))
    @rule()
    def answer(self) -> None:
        self.within(self.cycles[-1].progress)

    @rule()
    def take_nothing(self) -> None:
        if not self.wire.is_lost:
            self.within(self.connection.pause_writing)

    @rule()
    def take_again(self) -> None:
        if not self.wire.is_lost:
            self.within(self.connection.resume_writing)

    @precondition(lambda self: len(self.cycles) >= self.lives)
    @rule(seconds=st.sampled_from([0.1, 4.9, 5.0, 19.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.has_ended = self.has_ended or seconds > 1
        self.within(lambda: None, seconds)

    @precondition(lambda self: len(self.cycles) >= self.lives)
    @rule()
    def drain(self) -> None:
        self.is_draining = self.has_ended = True
        if self.cycles:
            self.cycles[-1].client.close_after_response()

    @precondition(lambda self: len(self.cycles) >= self.lives)
    @rule()
    def close_if_idle(self) -> None:
        self.has_ended = True
        self.within(lambda: self.connection.close_if_idle(5.0))

    @precondition(lambda self: len(self.cycles) >= self.lives)
    @rule()
    def lose(self) -> None:
        self.has_ended = True
        self.within(self.wire.lose)

    @precondition(lambda self: len(self.cycles) >= self.lives)
    @rule()
    def end(self) -> None:
        if not self.wire.is_closing():
            self.has_ended = True
            assert not self.connection.eof_received()
            self.within(self.wire.close)

    @invariant()
    def state_is_that_of_what_goes_on(self) -> None:
        if not hasattr(self, "connection"):
            return
        state, going_on = self.connection.state, [c for c in self.cycles if not c.is_over]
        name = STATES[state]
        is_lost, waits = self.wire.is_lost, [cycle.waits for cycle in going_on]
        if state in {IDLE, LINGERING}:
            assert not going_on, name
        if state in {RELAYING, ANSWERING}:
            assert len(going_on) == 1, name
            assert not is_lost
        if state == RELAYING:
            assert waits == [True]
        if state != CLOSING:
            assert len(self.tasks) == (state == ANSWERING), name
        if is_lost:
            assert state == CLOSING
            assert True not in waits
        assert self.connections == (set() if self.wire.is_lost else {self.connection})
        assert self.places.taken == (not self.wire.is_lost)

    @invariant()
    def answers_come_in_the_order_of_requests(self) -> None:
        if hasattr(self, "connection"):
            answered = re.findall(rb"\r\n\r\n(/[a-z-]+/\d+)", self.wire.written)
            assert answered == self.targets[: len(answered)]

    def teardown(self) -> None:
        if not hasattr(self, "connection"):
            return
        if not self.has_ended:
            self._answer_all()
            answered = re.findall(
                rb"HTTP/1.1 200 OK\r\n[^/]*\r\n\r\n(/\S+?/\d+)", self.wire.written
            )
            assert answered == self.targets
        self.within(self.wire.lose)
        self.within(lambda: None)
        assert all(cycle.is_over for cycle in self.cycles)
        assert len(self.tasks) == 0
        assert self.places.taken == 0
        self.loop.close()

    def _answer_all(self) -> None:
        self.within(self.connection.resume_writing)
        for _ in range(10 * len(self.targets) + 10):
            if self.wire.is_read and not self.wire.is_closing():
                data, self.unsent = self.unsent, b""
                if data:
                    self.within(lambda data=data: self.connection.data_received(data))  # type: ignore[misc]
            if any(cycle.waits for cycle in self.cycles):
                self.answer()
            self.within(lambda: None)


Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestConnection = Machine.TestCase


def test_states_are_reached_and_left_as_the_table_says() -> None:
    assert len(MOVES) == len(STATES)
    assert MOVES[CLOSING] == ()
    assert all(CLOSING in after for after in MOVES[:CLOSING])
    assert {to for after in MOVES for to in after} == set(range(len(STATES)))


class Timed:
    """A connection whose requests are answered by a task; it has ``wire.written`` so far."""

    def __init__(self) -> None:
        self.wire = Wire(can_half_close=True, fails=False)
        self.cycles: list[Cycle] = []
        terms = terms_of(self._accept, Places(9), Tasks())
        self.connection = self.wire.connection = Connection(terms, set())
        self.connection.connection_made(self.wire)

    def _accept(self, client: Client, refusal: GatewayError | None, limit: str) -> RequestCycle:
        del limit
        self.cycles.append(Cycle(client, refusal))
        return self.cycles[-1]

    async def receive(self, data: bytes, seconds: float = 0.0) -> None:
        """Receive ``data``, and let so much time pass."""
        self.connection.data_received(data)
        await self.pass_by(seconds)

    async def pass_by(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        for _ in range(5):
            await asyncio.sleep(0)


GET = b"GET /task/1 HTTP/1.1\r\nHost: x\r\n"
PUT = b"PUT /early/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.virtual_time
@pytest.mark.parametrize("received", [b"", b"\r\n", GET + b"\r\n"])
async def test_unused_connection_is_closed_when_its_time_is_up(received: bytes) -> None:
    timed = Timed()
    await timed.receive(received, KEEPALIVE_SECONDS - 1)
    assert not timed.wire.is_closing()
    await timed.pass_by(1)
    assert timed.wire.is_lost


@pytest.mark.virtual_time
async def test_request_that_has_begun_outlives_the_time_of_an_unused_connection() -> None:
    timed = Timed()
    await timed.receive(b"", KEEPALIVE_SECONDS - 1)
    await timed.receive(GET, IDLE_SECONDS - 1)
    await timed.receive(b"\r\n")
    assert timed.wire.written.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" not in timed.wire.written


@pytest.mark.virtual_time
async def test_head_that_takes_too_long_is_refused_however_often_some_of_it_comes() -> None:
    timed = Timed()
    await timed.receive(GET)
    for _ in range(6):
        assert timed.wire.written == b""
        await timed.receive(b"A: b\r\n", IDLE_SECONDS / 6)
    assert timed.wire.written.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close\r\n" in timed.wire.written
    assert timed.wire.is_half_closed


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("seconds", "goes_on"), [(LINGER_SECONDS - 1, True), (LINGER_SECONDS, False)]
)
async def test_leftover_content_is_read_for_a_while(seconds: float, goes_on: bool) -> None:
    timed = Timed()
    await timed.receive(PUT + b"some", seconds)
    assert timed.wire.written.startswith(b"HTTP/1.1 200 ")
    assert timed.wire.is_lost is not goes_on
    if goes_on:
        await timed.receive(b" more" + GET + b"\r\n")
        assert timed.wire.written.endswith(b"\r\n\r\n/task/1")


@pytest.mark.virtual_time
async def test_client_sees_the_end_of_the_last_response_before_its_content_has_come() -> None:
    timed = Timed()
    await timed.receive(PUT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"some")
    assert timed.wire.is_half_closed
    await timed.receive(b" mor", LINGER_SECONDS - 1)
    assert not timed.wire.is_closing()
    await timed.receive(b"e")
    assert timed.wire.is_lost


@pytest.mark.virtual_time
async def test_client_that_does_not_close_its_side_is_not_waited_for_without_end() -> None:
    timed = Timed()
    await timed.receive(b"no request\r\n\r\n", LINGER_SECONDS - 1)
    assert timed.wire.written.startswith(b"HTTP/1.1 400 ")
    assert timed.wire.is_half_closed
    assert not timed.wire.is_lost
    await timed.receive(b"more", 1)
    assert timed.wire.is_lost


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("received", "seconds"),
    [
        (GET + b"Connection: close\r\n\r\n", 0),
        (GET + b"Connection: close\r\n\r\nmore", LINGER_SECONDS),
        (GET + b"\r\n", KEEPALIVE_SECONDS),
        (b"\x00", LINGER_SECONDS),
    ],
)
async def test_client_that_takes_nothing_is_cut_off(received: bytes, seconds: float) -> None:
    timed = Timed()
    timed.wire.is_stuck = True
    await timed.receive(received, seconds + IDLE_SECONDS - 1)
    assert timed.wire.is_closing()
    assert not timed.wire.is_lost
    await timed.pass_by(1)
    assert timed.wire.is_lost


WAITING = b"GET /waits/1 HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.virtual_time
async def test_what_follows_a_request_that_waits_is_read_up_to_a_bound() -> None:
    timed = Timed()
    await timed.receive(WAITING)
    sent = 0
    while timed.wire.is_read:
        await timed.receive(b"x" * 1000)
        sent += 1000
    assert UNREAD_BYTES < sent <= UNREAD_BYTES + 1000
    assert timed.connection.state == RELAYING


@pytest.mark.virtual_time
async def test_requests_that_came_in_pieces_while_one_was_answered_are_answered_in_order() -> None:
    timed = Timed()
    await timed.receive(WAITING)
    for at in range(0, 20 * len(GET + b"\r\n"), 7):
        await timed.receive(((GET + b"\r\n") * 20)[at : at + 7])
    assert timed.wire.written == b""
    timed.cycles[0].progress()
    for _ in range(5):
        await timed.pass_by(0.01)
    assert timed.wire.written.count(b"HTTP/1.1 200 ") == 21
    assert timed.connection.state == IDLE


@pytest.mark.virtual_time
async def test_client_that_leaves_while_its_request_waits_is_noticed_whatever_else_it_sent() -> (
    None
):
    timed = Timed()
    await timed.receive(WAITING + WAITING + b"x" * 100)
    assert timed.wire.is_read
    assert not timed.connection.eof_received()
    timed.wire.close()
    await timed.pass_by(0)
    assert timed.cycles[0].is_abandoned
    assert len(timed.cycles) == 1
