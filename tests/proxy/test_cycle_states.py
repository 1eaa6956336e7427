"""Whatever comes in whatever order, a cycle only takes steps of its table, and ends once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.proxy.cycle import FOLLOWERS, CycleState
from tests.support.harness import RawClient, gateway_before
from tests.support.replay import until
from tests.support.upstream import Peer, upstream_doing

if TYPE_CHECKING:
    from gateway.server.server import Server

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"
UNSOUND = b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STEPS = ["get", "get", "post", "unsound", "whole", "whole", "head", "head", "rest", "rest"]
STEPS += ["nothing", "close", "reset", "leave", "drain", "cut"]


def test_each_state_has_its_followers_and_only_the_end_has_none() -> None:
    assert set(FOLLOWERS) == set(CycleState)
    assert [state for state in CycleState if not FOLLOWERS[state]] == [CycleState.OVER]
    for state in CycleState:
        # A client may leave at any time.
        assert state is CycleState.OVER or CycleState.OVER in FOLLOWERS[state]


class Asked:
    """A request that the upstream has and has not answered whole."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.has_head = False
        self.is_last = asyncio.get_running_loop().create_future()


class Play:
    """A client, a gateway and its upstream, which do what each step says."""

    def __init__(self, server: Server) -> None:
        self.gateway = server._gateway
        self.url = server.url
        self.client: RawClient | None = None
        self.asked: list[Asked] = []

    async def serve(self, peer: Peer) -> None:
        while await peer.request():
            self.asked.append(Asked(peer))
            if await self.asked[-1].is_last:
                return

    async def step(self, step: str) -> None:
        match step:
            case "get" | "post" | "unsound":
                await self.send({"get": GET, "post": POST, "unsound": UNSOUND}[step])
            case "leave":
                self.leave()
            case "drain":
                self.gateway.drain()
            case "cut":
                self.gateway.cut()
            case _ if self.asked:
                await self.answer(self.asked[0], step)

    async def send(self, request: bytes) -> None:
        if self.client is None or self.client.writer.is_closing():
            host, port = self.url.removeprefix("http://").split(":")
            self.client = RawClient(*await asyncio.open_connection(host, int(port)))
        self.client.writer.write(request)

    def leave(self) -> None:
        if self.client is not None:
            self.client.writer.transport.abort()
            self.client = None

    async def answer(self, asked: Asked, step: str) -> None:
        data = {"whole": OK, "head": OK[:-1], "rest": OK[-1:]}.get(step, b"")
        if data and asked.has_head != (step == "rest"):
            return
        asked.peer.writer.write(data)
        if step == "reset":
            asked.peer.reset()
        asked.has_head = step == "head"
        if not asked.has_head and step != "nothing":
            self.asked.remove(asked)
            asked.is_last.set_result(step in {"close", "reset"})

    async def end(self) -> None:
        self.leave()
        while self.asked:
            await self.answer(self.asked[0], "close")
        await until(lambda: self.gateway.is_idle)


class Complaints(logging.Handler):
    """Errors of this process: a state that must not follow is one, whoever meets it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


async def play(steps: list[tuple[str, int]]) -> None:
    playing: list[Play] = []

    async def serve(peer: Peer) -> None:
        await playing[0].serve(peer)

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, upstream={"response_seconds": 0.2}) as server,
        asyncio.timeout(30),
    ):
        playing.append(Play(server))
        # Another request now finds a connection that is kept.
        await playing[0].send(GET)
        await until(lambda: bool(playing[0].asked))
        await playing[0].step("whole")
        await until(lambda: playing[0].gateway.is_idle)
        for step, passes in steps:
            await playing[0].step(step)
            for _ in range(passes):
                await asyncio.sleep(0)
        await playing[0].end()
        gateway = playing[0].gateway
        counts = gateway.vitals.counted._counts.values()
        assert sum(sum(each.handling.counts) for each in counts) == gateway.begun


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from([0, 1, 5, 20])), max_size=25))
@example([("get", 20), ("leave", 20)])
@example([("get", 20), ("head", 20), ("leave", 20)])
@example([("get", 20), ("cut", 20)])
@example([("post", 20), ("leave", 20)])
def test_every_request_is_over_once_whatever_comes_in_whatever_order(
    steps: list[tuple[str, int]],
) -> None:
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    try:
        asyncio.run(play(steps))
    finally:
        logging.getLogger().removeHandler(complaints)
    assert complaints.texts == []
