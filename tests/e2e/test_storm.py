"""Clients and an upstream that behave at random: nobody gets another's answer, nothing is left."""

from __future__ import annotations

import asyncio
import re
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import RawClient, connected, gateway_before
from tests.support.pipeline import Record
from tests.support.replay import until
from tests.support.upstream import Peer, upstream_doing

if TYPE_CHECKING:
    from gateway.server.server import Server

CLIENTS = 250
ANSWERS = ["whole"] * 6 + ["pieces", "late", "chunked", "until close", "close", "early", "twice"]
ANSWERS += ["interim", "large", "none", "cut", "reset", "silent", "switched", "garbage"]
REFUSED = {
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "connect": b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "garbage": b"\x00\r\n\r\n",
    "no job": b"GET /job/none/result HTTP/1.1\r\nHost: x\r\n\r\n",
    "broken": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}
MANNERS = ["reads"] * 4 + ["slow", "half-closes", "leaves", "leaves early", "leaves early"]


def request(target: bytes, random: Random) -> bytes:
    """A request of a random kind for ``target``, or one that nobody may answer for it."""
    content = b"x" * random.choice([1, 3000, 100_000])
    sized = b"Content-Length: %d\r\n\r\n" % len(content) + content
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    upgrade = b"Connection: Upgrade\r\nUpgrade: %b\r\n\r\n"
    kinds = [(b"GET", b"\r\n")] * 6 + [(b"HEAD", b"\r\n")]
    kinds += [(b"POST", sized), (b"PUT", chunked)] * 2
    kinds += [(b"GET", upgrade % b"websocket"), (b"GET", upgrade % b"h2c"), (b"GET", sized)]
    if random.random() < 0.03:
        return random.choice(list(REFUSED.values()))
    method, rest = random.choice(kinds)
    return b"%b %b HTTP/1.1\r\nHost: x\r\n%b" % (method, target, rest)


class Upstream:
    """Answers a request as its target says, and names the target in each answer."""

    def __init__(self, random: Random) -> None:
        self._random = random

    async def serve(self, peer: Peer) -> None:
        while head := await peer.request():
            method, target, _ = head.split(b" ", 2)
            how = target.split(b"/")[1].replace(b"-", b" ").decode()
            if how != "early":
                await self._read_content(peer, head)
            if not await self._answer(peer, how, target, is_head=method == b"HEAD"):
                return

    async def _read_content(self, peer: Peer, head: bytes) -> None:
        if found := re.search(rb"(?i)content-length: (\d+)", head):
            await peer.reader.readexactly(int(found[1]))
        elif b"\r\nTransfer-Encoding: chunked\r\n" in head:
            await RawClient(peer.reader, peer.writer).chunks()

    async def _answer(self, peer: Peer, how: str, target: bytes, *, is_head: bool) -> bool:
        """Whether another may follow."""
        random = self._random
        content = target * (30_000 if how == "large" else 1)
        fields = b"HTTP/1.1 200 OK\r\nX-Target: %b\r\n" % target
        sized = fields + b"Content-Length: %d\r\n\r\n" % len(content)
        whole = sized if is_head else sized + content
        chunks = b"" if is_head else b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
        pieces = {
            "chunked": [fields + b"Transfer-Encoding: chunked\r\n\r\n", chunks],
            "until close": [fields + b"\r\n", b"" if is_head else content],
            "twice": [whole + b"HTTP/1.1 200 OK\r\nX-Target: /no\r\nContent-Length: 0\r\n\r\n"],
            "interim": [b"HTTP/1.1 103 Hints\r\nX-Target: /no\r\n\r\n", whole],
            "none": [b"HTTP/1.1 204 No Content\r\nX-Target: %b\r\n\r\n" % target],
            "cut": [whole[: random.randrange(len(whole))]],
            "reset": [whole[: random.randrange(len(whole))]],
            "silent": [],
            "switched": [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", whole],
            "garbage": [b"garbage\r\n\r\n"],
        }.get(how, [whole])
        if how == "pieces":
            at = random.randrange(1, len(whole))
            pieces = [whole[:at], whole[at:]]
        elif how == "late":
            await asyncio.sleep(0.005)
        for piece in pieces:
            await peer.answer(piece)
            await asyncio.sleep(random.choice([0, 0.001]))
        if how == "reset":
            peer.reset()
        return how not in {"until close", "close", "early", "cut", "reset", "silent", "garbage"}


async def behave(server: Server, number: int, random: Random) -> None:
    """Send requests at once, cut anywhere, and check what is read of their answers."""
    amount = random.choice([1, 1, 3, 10, 40])
    hows = [random.choice(ANSWERS).replace(" ", "-").encode() for _ in range(amount)]
    targets = [b"/%b/%d/%d" % (how, number, at) for at, how in enumerate(hows)]
    sent = [request(target, random) for target in targets]
    manner = random.choice(MANNERS)
    async with connected(server.url) as client, asyncio.TaskGroup() as group:
        sending = group.create_task(_send(client, b"".join(sent), manner, random))
        if manner == "leaves early":
            await asyncio.sleep(random.choice([0, 0.001, 0.004]))
        else:
            await _read(client, targets, sent, manner)
        client.writer.transport.abort()
        sending.cancel()


async def _send(client: RawClient, data: bytes, manner: str, random: Random) -> None:
    step = random.choice([len(data), 5000, 50 if len(data) < 2000 else 20_000])
    try:
        for at in range(0, len(data), step):
            await client.send(data[at : at + step])
            await asyncio.sleep(0)
        if manner == "half-closes":
            client.writer.write_eof()
    except OSError:
        # It was cut meanwhile.
        pass


async def _read(client: RawClient, targets: list[bytes], sent: list[bytes], manner: str) -> None:
    for target, message in zip(targets, sent, strict=True):
        if manner == "slow":
            await asyncio.sleep(0.005)
        try:
            head = await client.head()
            bodiless = message.startswith(b"HEAD ") or b" 204 " in head[:14]
            content = b"" if bodiless else await _content(client, head)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        named = re.search(rb"X-Target: (\S+)", head)
        assert named is None or (named[1] == target and target in message)
        assert not head.startswith(b"HTTP/1.1 1")
        assert bodiless or named is None or content.replace(target, b"") == b""
        if manner == "leaves" or b"\r\nConnection: close\r\n" in head:
            return


async def _content(client: RawClient, head: bytes) -> bytes:
    if found := re.search(rb"(?i)content-length: (\d+)", head):
        return await client.reader.readexactly(int(found[1]))
    return await client.chunks()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.no_cover
async def test_no_answer_is_anothers_and_nothing_is_left_after_a_storm(seed: int) -> None:
    record = Record()
    random = Random(seed)  # noqa: S311 - a storm that can be repeated
    limits = {"max_connections": random.choice([8, 256]), "response_seconds": 2.0}
    async with (
        upstream_doing(Upstream(random).serve) as script,
        gateway_before(script.url, record, upstream=limits) as server,
    ):
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                own = Random(random.random())  # noqa: S311
                group.create_task(behave(server, number, own))
        gateway = server._gateway
        pool = gateway._upstream.pool

        def is_idle() -> bool:
            stats = pool.stats()
            return (
                not gateway._pipeline._in_flight
                and not gateway.listener.connections
                and (stats.busy, stats.queued, pool._shares._held) == (0, 0, {})
                and pool._taken == stats.idle
            )

        await until(is_idle)
        assert len(record.exchanges) == gateway.begun
        assert "upload" not in {task.get_name() for task in asyncio.all_tasks()}
    assert pool._taken == 0
