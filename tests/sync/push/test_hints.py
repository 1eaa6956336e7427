from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config import RedisConfig
from gateway.redis.client import connection
from gateway.sync.push.hints import (
    AT_ONCE,
    MAX_GAP_SECONDS,
    STEADY_SECONDS,
    Push,
    PushStats,
    job_named,
)
from gateway.sync.push.subscription import Lost, Subscription
from tests.support.replay import until
from tests.support.theeye import JOB_ID
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

    from tests.support.redis_server import RedisServer

LATE_SECONDS = 1.0
CHANNEL = f"64a000000000000000000001:job-finished:{JOB_ID}"
PAYLOAD = (
    b'{"topic":"job-finished","id":"2724a2c0-e80c-11f1-8c1c-cf7b95926998","data":'
    b'{"operation":"update","organization":"acme","organization_id":"64a000000000000000000001",'
    b'"model_id":"6b058e0ff294df5bf4d94f6f","model_type":"ScriptJob"}}'
)


def message(channel: object, payload: object = PAYLOAD) -> list[object]:
    return [b"pmessage", b"*:job-finished:*", channel, payload]


@pytest.mark.parametrize(
    "channel", [CHANNEL, CHANNEL.replace("job-f", "workflow-job-f"), CHANNEL.upper().lower()]
)
def test_message_as_theeye_publishes_it_names_the_job(channel: str) -> None:
    assert job_named(message(channel.encode())) == JOB_ID


def test_job_is_named_in_lower_case_as_waits_are_known() -> None:
    channel = f"o:job-finished:{JOB_ID.upper()}"
    assert job_named(message(channel.encode())) == JOB_ID


def test_payload_is_not_read() -> None:
    payloads: list[object] = [b"", b"\xff{", b"x" * 2**20, None, 7, [[]]]
    for payload in payloads:
        assert job_named(message(CHANNEL.encode(), payload)) == JOB_ID


@pytest.mark.parametrize(
    "channel",
    [
        CHANNEL.replace("job-finished", "job-crud"),
        CHANNEL.replace("job-finished", "xjob-finished"),
        f":job-finished:{JOB_ID}",
        f"{CHANNEL}0",
        f"{CHANNEL}\n",
        CHANNEL[:-1],
        f"a:b:job-finished:{JOB_ID}",
        f"{'o' * 200}:job-finished:{JOB_ID}",
        f"o:job-finished:{'z' * 24}",
        f"o:job-finished:{JOB_ID}:job-finished:{JOB_ID}",
    ],
)
def test_other_channel_names_no_job(channel: str) -> None:
    assert job_named(message(channel.encode())) == ""


ANYTHING = st.recursive(
    st.none() | st.integers() | st.binary() | st.text(), lambda inner: st.lists(inner, max_size=5)
)


@given(ANYTHING | st.builds(message, ANYTHING, ANYTHING) | st.builds(message, st.binary()))
@example([b"pmessage", b"", [CHANNEL.encode()], b""])
@example([b"message", b"", CHANNEL.encode(), b""])
@example([b"pmessage", CHANNEL.encode(), b""])
def test_nothing_else_that_redis_may_say_names_a_job(reply: object) -> None:
    assert job_named(reply) == ""


@dataclass
class Hints:
    """A watcher that notes what it is told, and when."""

    told: list[tuple[str, object]] = field(default_factory=list)
    relied: list[float] = field(default_factory=list)
    """When it was told to rely on hints, or not to."""
    faults: list[Exception] = field(default_factory=list)
    """What the first hints make of it."""

    def hint(self, job_id: str) -> None:
        if self.faults:
            raise self.faults.pop()
        self.told.append(("hint", job_id))

    def poll_all(self) -> None:
        self.told.append(("poll at all", None))

    def rely_on_hints(self, healthy: bool) -> None:
        self.told.append(("rely", healthy))
        self.relied.append(asyncio.get_running_loop().time())

    @property
    def jobs(self) -> list[object]:
        return [what for kind, what in self.told if kind == "hint"]

    def count(self, *told: object) -> int:
        return self.told.count(cast("tuple[str, object]", told))


CONNECTED = [("rely", True), ("poll at all", None)]


LOST = object()


class Script:
    """A Redis that is there, or lost, as a test says. It confirms, and says ``replies``."""

    def __init__(self) -> None:
        self.is_there = True
        self.answers = True
        self.is_frozen = False
        """Connecting takes its connection, and nothing comes."""
        self.is_cancelled = False
        """Connecting ends for no reason: a time limit that lets its own cancellation out, say."""
        self.replies: asyncio.Queue[object] = asyncio.Queue()
        self.attempts: list[float] = []
        self.open = 0

    def subscription(self) -> Subscription:
        return cast("Subscription", _Scripted(self))

    def say(self, reply: object) -> None:
        self.replies.put_nowait(reply)

    def lose(self, *, back: bool) -> None:
        """End the connection; whether Redis is there for another."""
        self.is_there = back
        if self.open:
            self.replies.put_nowait(LOST)


class _Scripted:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._unanswered = 0

    async def open(self, seconds: float) -> None:
        self._script.attempts.append(now())
        self._script.open += 1
        if self._script.is_cancelled:
            raise asyncio.CancelledError
        if self._script.is_frozen:
            try:
                async with asyncio.timeout(seconds):
                    await asyncio.sleep(1e6)
            except TimeoutError:
                raise Lost("nothing comes") from None
        if not self._script.is_there:
            raise Lost("not there")

    async def message(self) -> object:
        reply = await self._script.replies.get()
        if reply is LOST:
            raise Lost("closed")
        return reply

    async def ping(self) -> None:
        self._unanswered = 0 if self._script.answers else self._unanswered + 1
        if self._unanswered > 2:
            raise Lost("silent")

    async def close(self) -> None:
        self._script.open -= 1


@asynccontextmanager
async def scripted(script: Script, hints: Hints) -> AsyncIterator[Push]:
    push = Push(
        script.subscription,
        hints,
        now,
        lambda: 1.0,
        ping_seconds=0.25,
        open_seconds=2.0,
        late_seconds=LATE_SECONDS,
    )
    push.start()
    await asyncio.sleep(0.001)
    yield push
    await push.aclose()
    assert len(push._tasks) == 0
    assert script.open == 0


@pytest.mark.virtual_time
async def test_watcher_relies_on_hints_while_subscribed_and_polls_at_all_first() -> None:
    hints = Hints()
    async with scripted(Script(), hints) as push:
        assert hints.told == CONNECTED
        assert push.stats() == PushStats(True, 0, 0, 0)
        await asyncio.sleep(3600)
        assert hints.told == CONNECTED
    assert hints.told == [*CONNECTED, ("rely", False)]
    assert push.stats() == PushStats(False, 0, 0, 0)


@pytest.mark.virtual_time
async def test_lost_connection_ends_the_reliance_at_once_and_is_made_again() -> None:
    script, hints = Script(), Hints()
    async with scripted(script, hints):
        await asyncio.sleep(60)
        script.lose(back=True)
        await asyncio.sleep(0.01)
        assert hints.told == [*CONNECTED, ("rely", False)]
        await asyncio.sleep(0.1)
        assert hints.told == [*CONNECTED, ("rely", False), *CONNECTED]


@pytest.mark.virtual_time
async def test_unexpected_failure_is_logged_and_the_subscription_made_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script, hints = Script(), Hints(faults=[ZeroDivisionError("a fault of ours")])
    async with scripted(script, hints):
        script.say(message(CHANNEL.encode()))
        await asyncio.sleep(0.01)
        assert hints.told == [*CONNECTED, ("rely", False)]
        await asyncio.sleep(0.2)
        script.say(message(CHANNEL.encode()))
        await asyncio.sleep(0.01)
        assert hints.jobs == [JOB_ID]
    assert "a fault of ours" in caplog.text


@pytest.mark.virtual_time
async def test_redis_that_was_frozen_for_long_is_subscribed_to_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script, hints = Script(), Hints()
    async with scripted(script, hints) as push:
        for _ in range(3):
            script.is_frozen, script.answers = True, False
            await asyncio.sleep(10)
            assert not push.stats().is_connected
            script.is_frozen, script.answers = False, True
            await asyncio.sleep(10)
            assert push.stats().is_connected
        assert hints.count("poll at all", None) == 4
    assert {record.levelname for record in caplog.records} == {"WARNING"}


@pytest.mark.virtual_time
async def test_push_that_ends_for_no_reason_begins_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = Script()
    script.is_cancelled = True
    async with scripted(script, Hints()) as push:
        await asyncio.sleep(1)
        assert not push.stats().is_connected
        script.is_cancelled = False
        await asyncio.sleep(10)
        assert push.stats().is_connected
    assert "task push ended with CancelledError and begins again" in caplog.text


@pytest.mark.virtual_time
async def test_silent_redis_is_noticed_within_three_pings() -> None:
    script, hints = Script(), Hints()
    async with scripted(script, hints):
        await asyncio.sleep(10)
        script.answers = False
        silent_at = now()
        await asyncio.sleep(1)
        assert hints.told[2] == ("rely", False)
        assert hints.relied[1] - silent_at <= 0.75


@pytest.mark.virtual_time
async def test_redis_that_stays_away_is_tried_seldom_and_found_when_it_is_back() -> None:
    script, hints = Script(), Hints()
    script.is_there = False
    async with scripted(script, hints) as push:
        await asyncio.sleep(60)
        assert hints.told == []
        assert push.stats().is_connected is False
        gaps = [b - a for a, b in zip(script.attempts, script.attempts[1:], strict=False)]
        assert gaps[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
        assert gaps[-1] == pytest.approx(MAX_GAP_SECONDS)
        script.is_there = True
        await asyncio.sleep(MAX_GAP_SECONDS)
        assert hints.told == CONNECTED


@pytest.mark.virtual_time
async def test_connection_lost_again_and_again_is_not_made_again_and_again() -> None:
    script, hints = Script(), Hints()
    async with scripted(script, hints):
        for _ in range(6000):
            script.lose(back=True)
            await asyncio.sleep(0.01)
    assert hints.count("poll at all", None) < 25

    script, hints = Script(), Hints()
    async with scripted(script, hints):
        for _ in range(20):
            await asyncio.sleep(STEADY_SECONDS + 1)
            script.lose(back=True)
            await asyncio.sleep(0.2)
    assert hints.count("poll at all", None) == 21


@pytest.mark.virtual_time
async def test_every_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        script, hints = Script(), Hints()
        script.is_there = False
        async with scripted(script, hints):
            await asyncio.sleep(60)
            script.is_there = True
            await asyncio.sleep(60)
            script.lose(back=False)
            await asyncio.sleep(60)
    assert [record.getMessage() for record in caplog.records] == [
        "redis: not told of ends of jobs, polling at full pace: not there",
        "redis: told of ends of jobs",
        "redis: not told of ends of jobs, polling at full pace: closed",
    ]


def end(script: Script, push: Push, *, told: bool) -> None:
    if told:
        script.say(message(CHANNEL.encode()))
    push.ended(JOB_ID.upper(), now())


@pytest.mark.virtual_time
async def test_jobs_that_end_without_messages_are_polled_at_full_pace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        script, hints = Script(), Hints()
        async with scripted(script, hints) as push:
            for _ in range(3):
                end(script, push, told=False)
            await asyncio.sleep(LATE_SECONDS + 0.5)
            assert hints.told == [*CONNECTED, ("rely", False)]
            assert push.stats() == PushStats(True, 0, 0, 3)
            script.lose(back=True)
            await asyncio.sleep(1)
            assert hints.told[3:] == [("poll at all", None)]
    assert [record.getMessage() for record in caplog.records] == [
        "redis: a job ended without a message, polling at full pace",
        "redis: not told of ends of jobs, polling at full pace: closed",
    ]


@pytest.mark.virtual_time
async def test_messages_are_relied_on_again_when_they_have_come_again_for_a_while() -> None:
    script, hints = Script(), Hints()
    async with scripted(script, hints) as push:
        end(script, push, told=False)
        await asyncio.sleep(100)
        assert hints.told == [*CONNECTED, ("rely", False)], "no message, no proof"
        end(script, push, told=True)
        await asyncio.sleep(2)
        assert hints.told[-1] == ("rely", True)
        assert push.stats() == PushStats(True, 1, 0, 1)


@pytest.mark.virtual_time
async def test_flood_lets_other_tasks_run() -> None:
    script, hints = Script(), Hints()
    for _ in range(100 * AT_ONCE):
        script.replies.put_nowait(message(b"x:job-finished:x"))
    script.replies.put_nowait(message(CHANNEL.encode()))
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while not hints.jobs:
            await asyncio.sleep(0)
            turns += 1

    others = asyncio.gather(take_turns())
    async with scripted(script, hints) as push:
        await others
        assert push.stats() == PushStats(True, 1, 100 * AT_ONCE, 0)
    assert turns > 90


@asynccontextmanager
async def pushing(
    server: RedisServer, *, ping_seconds: float = 2.0, attempts: list[Subscription] | None = None
) -> AsyncIterator[tuple[Hints, Push, Redis]]:
    """Push over a real Redis, subscribed, and a client to publish with."""
    config = RedisConfig(url=server.url)
    hints = Hints()

    def subscription() -> Subscription:
        made = Subscription(connection(config))
        if attempts is not None:
            attempts.append(made)
        return made

    push = Push(
        subscription,
        hints,
        asyncio.get_running_loop().time,
        lambda: 0.0,
        ping_seconds=ping_seconds,
        open_seconds=0.1,
        late_seconds=LATE_SECONDS,
    )
    push.start()
    async with server.client() as client:
        try:
            await until(lambda: push.stats().is_connected)
            yield hints, push, client
        finally:
            await push.aclose()


async def test_published_end_is_a_hint(redis_server: RedisServer) -> None:
    async with pushing(redis_server) as (hints, push, client):
        await client.publish(CHANNEL, PAYLOAD)
        await until(lambda: hints.jobs == [JOB_ID])
        assert push.stats() == PushStats(True, 1, 0, 0)


async def test_hostile_messages_are_dropped_and_disturb_nothing(redis_server: RedisServer) -> None:
    async with pushing(redis_server) as (hints, push, client):
        for payload in (b"", b"\x00\xff", b"[" * 100_000, b"x" * 3_000_000):
            await client.publish("o:job-finished:x", payload)
            await client.publish(CHANNEL, payload)
        await client.publish(b"\xff" * 1_000_000 + b":job-finished:" + JOB_ID.encode(), b"")
        await client.publish(f"o:job-finished:{JOB_ID}\r\n", b"*1\r\n$-1\r\n")
        await client.publish(CHANNEL, b"")
        await until(lambda: len(hints.jobs) == 5)
        assert push.stats() == PushStats(True, 5, 6, 0)
        assert hints.told[:2] == CONNECTED
        assert set(hints.jobs) == {JOB_ID}


async def test_restarted_redis_is_subscribed_to_again(redis_server: RedisServer) -> None:
    async with pushing(redis_server) as (hints, push, client):
        await redis_server.stop()
        await until(lambda: hints.told == [*CONNECTED, ("rely", False)])
        assert not push.stats().is_connected
        await redis_server.start()
        await until(lambda: hints.told == [*CONNECTED, ("rely", False), *CONNECTED])
        await client.connection_pool.disconnect()
        await client.publish(CHANNEL, PAYLOAD)
        await until(lambda: hints.jobs == [JOB_ID])


async def test_hanging_redis_is_noticed_and_used_again_when_it_goes_on(
    redis_server: RedisServer,
) -> None:
    async with pushing(redis_server, ping_seconds=0.02) as (hints, push, client):
        redis_server.hang()
        await until(lambda: hints.told[-1] == ("rely", False))
        assert not push.stats().is_connected
        redis_server.resume()
        async with asyncio.timeout(20):
            while not hints.jobs:
                await client.publish(CHANNEL, PAYLOAD)
                await asyncio.sleep(0.01)


async def test_redis_that_hung_for_longer_than_connecting_may_take_is_used_again(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[Subscription] = []
    async with pushing(redis_server, ping_seconds=0.02, attempts=attempts) as (hints, push, client):
        for _ in range(2):
            redis_server.hang()
            await until(lambda: not push.stats().is_connected)
            attempts.clear()
            await until(lambda: len(attempts) == 2)
            redis_server.resume()
            await until(lambda: push.stats().is_connected)
        async with asyncio.timeout(20):
            while not hints.jobs:
                await client.publish(CHANNEL, PAYLOAD)
                await asyncio.sleep(0.01)
    assert "begins again" not in caplog.text


async def test_closing_ends_the_subscription_also_while_redis_hangs(
    redis_server: RedisServer,
) -> None:
    async with pushing(redis_server) as (hints, push, client):
        await push.aclose()
        assert hints.told == [*CONNECTED, ("rely", False)]
        assert len(push._tasks) == 0
        assert await client.pubsub_numpat() == 0
    async with pushing(redis_server) as (_, push, _):
        redis_server.hang()
        async with asyncio.timeout(1):
            await push.aclose()
        redis_server.resume()
