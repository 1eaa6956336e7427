"""What gateways share of tied jobs, in a real Redis."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from gateway.config import RedisConfig
from gateway.sync.tethers.redis_tethers import SLACK_SECONDS, RedisTethers
from gateway.sync.tethers.tether import TetherRecord
from gateway.sync.tethers.tether_scripts import Claimed, Seen, TethersUnknown, Untied, key_of
from gateway.sync.tethers.wish import Wish
from tests.support.theeye import JOB_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.redis_server import RedisServer

CREATOR = b"\xffcreator" + b"c" * 8
RECORD = TetherRecord(CREATOR, Wish(on_timeout=True, on_disconnect=True))
PATIENCE = 20.0


@asynccontextmanager
async def sharing(
    redis: RedisServer, clock: Callable[[], float] = time.monotonic, answer_seconds: float = 5.0
) -> AsyncIterator[RedisTethers]:
    tethers = RedisTethers(
        RedisConfig(url=redis.url),
        clock,
        lambda: 0.0,
        answer_seconds=answer_seconds,
        first_gap_seconds=0.01,
    )
    try:
        yield tethers
    finally:
        await tethers.aclose()


async def unseen(redis: RedisServer, seconds: float) -> None:
    """As if nobody was seen for so long."""
    seen = int(await redis.command("HGET", key_of(JOB_ID), "seen"))
    await redis.command("HSET", key_of(JOB_ID), "seen", str(seen - int(seconds * 1000)))


async def seconds_until(tethers: RedisTethers) -> float:
    claim = await tethers.claim(JOB_ID, PATIENCE)
    assert isinstance(claim, Seen)
    return claim.seconds


async def test_job_is_claimed_by_one_once_nobody_was_seen_for_long_enough(
    redis_server: RedisServer,
) -> None:
    async with sharing(redis_server) as one, sharing(redis_server) as other:
        await one.open(JOB_ID, RECORD)
        assert PATIENCE - 5 < await seconds_until(other) <= PATIENCE
        await unseen(redis_server, PATIENCE)
        claims = await asyncio.gather(
            *[process.claim(JOB_ID, PATIENCE) for process in (one, other)]
        )
        (seen,) = [claim for claim in claims if isinstance(claim, Seen)]
        assert Claimed() in claims
        assert 100 < seen.seconds <= 150
        claimer = one if claims[0] == Claimed() else other
        assert await claimer.claim(JOB_ID, PATIENCE) == Claimed(), "it may try again"
        await claimer.end(JOB_ID)
        assert await one.claim(JOB_ID, PATIENCE) == Untied()
        assert await redis_server.command("KEYS", "*") == []


async def test_whoever_is_seen_puts_it_off(redis_server: RedisServer) -> None:
    async with sharing(redis_server) as one:
        await one.open(JOB_ID, RECORD)
        await unseen(redis_server, PATIENCE)
        await one.renew(["0" * 24, JOB_ID])
        assert await seconds_until(one) > PATIENCE - 5
        await unseen(redis_server, PATIENCE)
        assert await one.look(JOB_ID, CREATOR) == RECORD
        assert await seconds_until(one) > PATIENCE - 5
        await unseen(redis_server, PATIENCE)
        assert await one.look(JOB_ID, b"reader") == RECORD
        assert await one.claim(JOB_ID, PATIENCE) == Claimed(), "a reader was not seen"
        await one.look(JOB_ID, CREATOR)
        assert await seconds_until(one) > PATIENCE - 5, "the creator is back"


async def test_job_of_which_nothing_is_known_is_made_by_nobody(redis_server: RedisServer) -> None:
    async with sharing(redis_server) as one:
        assert await one.look(JOB_ID, CREATOR) is None
        await one.renew([JOB_ID])
        await one.let_go(JOB_ID)
        await one.end(JOB_ID)
        assert await one.claim(JOB_ID, 0.0) == Untied()
        assert await redis_server.command("KEYS", "*") == []


async def test_creator_that_is_let_go_comes_again(redis_server: RedisServer) -> None:
    async with sharing(redis_server) as one:
        await one.open(JOB_ID, RECORD)
        await one.let_go(JOB_ID)
        await unseen(redis_server, PATIENCE)
        assert await one.claim(JOB_ID, PATIENCE) == Untied()
        assert await one.look(JOB_ID, CREATOR) == RECORD
        assert await seconds_until(one) > 0


async def test_creators_own_wish_waits_for_nobody(redis_server: RedisServer) -> None:
    async with sharing(redis_server) as one, sharing(redis_server) as other:
        await one.open(JOB_ID, RECORD)
        await one.let_go(JOB_ID)
        assert await one.claim(JOB_ID, 0.0) == Claimed()
        assert isinstance(await other.claim(JOB_ID, 0.0), Seen)


async def test_redis_shows_no_job_and_no_token_and_forgets_in_an_hour(
    redis_server: RedisServer,
) -> None:
    async with sharing(redis_server) as one:
        await one.open(JOB_ID, RECORD)
        (key,) = await redis_server.command("KEYS", "*")
        assert JOB_ID.encode() not in key
        assert set(await redis_server.command("HKEYS", key)) == {b"creator", b"wish", b"seen"}
        assert 3500 < await redis_server.command("TTL", key) <= 3600


async def answers(tethers: RedisTethers) -> None:
    """Wait until Redis answers again."""
    for _ in range(500):
        with suppress(TethersUnknown):
            return await tethers.renew([])
        await asyncio.sleep(0.01)
    raise TimeoutError


async def test_redis_that_is_gone_says_nothing(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with sharing(redis_server) as one:
        await one.open(JOB_ID, RECORD)
        await redis_server.stop()
        for _ in range(3):
            with pytest.raises(TethersUnknown):
                await one.look(JOB_ID, CREATOR)
        await redis_server.start()
        await answers(one)
        assert await one.look(JOB_ID, CREATOR) is None
    told = [record.getMessage() for record in caplog.records]
    assert told[-1] == "Redis tells again which jobs are waited for"
    assert all("none is cancelled for a lost connection until it does" in one for one in told[:-1])


async def test_nothing_is_claimed_before_others_had_the_time_to_tell_that_they_wait(
    redis_server: RedisServer,
) -> None:
    clock = [0.0]
    async with sharing(redis_server, lambda: clock[0]) as one:
        await one.renew([])
        await redis_server.stop()
        with pytest.raises(TethersUnknown):
            await one.claim(JOB_ID, PATIENCE)
        await redis_server.start()
        clock[0] = 100.0
        await answers(one)
        for seconds in (0.0, PATIENCE + SLACK_SECONDS - 0.1):
            clock[0] = 100.0 + seconds
            with pytest.raises(TethersUnknown, match="long enough"):
                await one.claim(JOB_ID, PATIENCE)
        assert await one.claim(JOB_ID, 0.0) == Untied(), "of the creator's own wish"
        clock[0] = 100.0 + PATIENCE + SLACK_SECONDS
        assert await one.claim(JOB_ID, PATIENCE) == Untied()


async def test_connection_that_was_idle_and_closed_is_opened_again(
    redis_server: RedisServer,
) -> None:
    async with sharing(redis_server) as one:
        await one.open(JOB_ID, RECORD)
        await redis_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await one.look(JOB_ID, CREATOR) == RECORD


async def test_what_cannot_be_read_is_unknown(redis_server: RedisServer) -> None:
    async with sharing(redis_server) as one:
        await redis_server.command("SET", key_of(JOB_ID), "no hash")
        with pytest.raises(TethersUnknown, match="WRONGTYPE"):
            await one.look(JOB_ID, CREATOR)
    async with sharing(redis_server) as one:
        await redis_server.command("DEL", key_of(JOB_ID))
        await redis_server.command("HSET", key_of(JOB_ID), "creator", "c")
        with pytest.raises(TethersUnknown, match="cannot be read"):
            await one.look(JOB_ID, CREATOR)


async def test_redis_that_hangs_is_not_waited_for_long(redis_server: RedisServer) -> None:
    async with sharing(redis_server, answer_seconds=0.05) as one:
        await one.renew([])
        redis_server.hang()
        try:
            with pytest.raises(TethersUnknown, match=r"no answer within 0\.05 s"):
                await one.renew([])
        finally:
            redis_server.resume()
