from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.config import RedisConfig
from gateway.redis.connection import Closed, Unusable
from gateway.redis.link import LINE_SECONDS, MAX_GAP_SECONDS, STEADY_SECONDS, RedisLink, Unanswered
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time


@dataclass
class Server:
    """Sessions with it open, and asks get what ``says`` has, the time of the last one."""

    is_up: bool = True
    says: list[Exception] = field(default_factory=list)
    is_tried: bool = False
    open_seconds: float = 0.0
    answer_seconds: float = 0.0
    opens: list[float] = field(default_factory=list)
    closed: int = 0

    def session(self, _config: RedisConfig) -> Talk:
        return Talk(self)


class Talk:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.is_tried = server.is_tried

    async def open(self) -> None:
        self.server.opens.append(now())
        await asyncio.sleep(self.server.open_seconds)
        if not self.server.is_up:
            raise Unusable("down")

    async def close(self) -> None:
        self.server.closed += 1

    async def answer(self) -> str:
        await asyncio.sleep(self.server.answer_seconds)
        if self.server.says:
            raise self.server.says.pop(0)
        if not self.server.is_up:
            raise Closed("gone")
        return "yes"


def link_to(server: Server, **settings: Any) -> RedisLink[Talk]:
    return RedisLink(
        server.session,
        RedisConfig(),
        now,
        lambda: 1.0,
        fails="fails: %s",
        works="works",
        **settings,
    )


async def ask(link: RedisLink[Talk], patience: float = 1.0) -> str:
    return await link.use(Talk.answer, patience)


async def test_session_is_opened_once_for_many_who_ask_one_after_the_other() -> None:
    server = Server(open_seconds=0.5, answer_seconds=0.1)
    link = link_to(server)
    assert await asyncio.gather(*(ask(link) for _ in range(10))) == ["yes"] * 10
    assert now() == pytest.approx(1.5)
    assert server.opens == [0.0]
    await link.aclose()
    assert server.closed == 1


async def test_session_that_was_closed_is_opened_again_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server(says=[Closed("idle")])
    link = link_to(server)
    assert await ask(link) == "yes"
    assert (len(server.opens), server.closed, link.failures) == (2, 1, 0)
    assert not caplog.records
    await link.aclose()


async def test_session_that_is_closed_twice_has_failed() -> None:
    server = Server(says=[Closed("once"), Closed("twice")])
    link = link_to(server)
    with pytest.raises(Unanswered, match="twice") as failure:
        await ask(link)
    assert failure.value.was_asked
    assert link.failures == 1
    await link.aclose()


async def test_nobody_waits_while_it_fails_and_one_task_opens_with_growing_gaps(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server(is_up=False)
    link = link_to(server)
    for _ in range(2):
        with pytest.raises(Unanswered, match="down") as failure:
            await ask(link)
        assert not failure.value.was_asked
        assert not link.is_answering
        assert now() == 0
    await asyncio.sleep(200)
    gaps = [later - earlier for earlier, later in zip(server.opens, server.opens[1:], strict=False)]
    assert gaps[:3] == [0.25, 0.5, 1.0]
    assert max(gaps) == MAX_GAP_SECONDS
    server.is_up = True
    await asyncio.sleep(MAX_GAP_SECONDS)
    assert link.is_answering
    assert caplog.messages == ["fails: down"], "it is not known yet whether it answers"
    assert await ask(link) == "yes"
    assert caplog.messages == ["fails: down", "works"]
    assert link.failures == 1
    await link.aclose()


async def test_session_that_is_tried_when_it_opens_is_told_of_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server(is_up=False, is_tried=True)
    link = link_to(server)
    with pytest.raises(Unanswered):
        await ask(link)
    server.is_up = True
    await asyncio.sleep(1)
    assert caplog.messages == ["fails: down", "works"]
    await link.aclose()


async def test_server_that_opens_and_refuses_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server(says=[Unusable("no rights")] * 100)
    link = link_to(server)
    for _ in range(100):
        with pytest.raises(Unanswered):
            await ask(link)
        await asyncio.sleep(5)
    assert caplog.messages == ["fails: no rights"]
    assert len(server.opens) < 50
    await link.aclose()


async def test_gaps_begin_again_after_a_steady_time() -> None:
    server = Server(is_tried=True)
    link = link_to(server)
    firsts = []
    for steady in (0.0, 0.0, STEADY_SECONDS):
        await asyncio.sleep(steady)
        server.says.append(Unusable("odd"))
        with pytest.raises(Unanswered):
            await ask(link)
        before = now()
        await asyncio.sleep(2)
        firsts.append(server.opens[-1] - before)
    assert firsts == [0.25, 0.5, 0.25]
    await link.aclose()


async def test_whoever_has_less_patience_than_opening_takes_is_told_and_nobody_waits_again() -> (
    None
):
    server = Server(open_seconds=1.0)
    link = link_to(server)
    with pytest.raises(Unanswered, match="no connection in time"):
        await ask(link, 0.25)
    with pytest.raises(Unanswered):
        await ask(link, 0.25)
    assert now() == 0.25
    await asyncio.sleep(1)
    assert await ask(link, 0.25) == "yes"
    assert link.failures == 0
    await link.aclose()


async def test_answer_to_somebody_who_has_left_is_nobody_elses() -> None:
    server = Server(answer_seconds=1.0)
    link = link_to(server)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await ask(link)
    assert server.closed == 1
    assert await ask(link) == "yes"
    assert len(server.opens) == 2
    await link.aclose()


async def test_who_waits_for_a_session_that_fails_fails_with_it() -> None:
    server = Server(answer_seconds=0.5, says=[Unusable("hangs")])
    link = link_to(server)
    asked = await asyncio.gather(*(ask(link) for _ in range(10)), return_exceptions=True)
    assert all(isinstance(failure, Unanswered) for failure in asked)
    assert [one.was_asked for one in asked if isinstance(one, Unanswered)].count(True) == 1
    assert now() == 0.5
    await link.aclose()


async def test_nobody_waits_for_long_behind_many() -> None:
    server = Server(answer_seconds=0.9)
    link = link_to(server)
    asked = await asyncio.gather(*(ask(link) for _ in range(1000)), return_exceptions=True)
    assert asked.count("yes") == 6
    assert now() < LINE_SECONDS + 1
    assert (link.failures, len(server.opens)) == (0, 1)
    assert await ask(link) == "yes"
    await link.aclose()
