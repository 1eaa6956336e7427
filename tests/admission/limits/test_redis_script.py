"""The script decides as memory does, by a real Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from gateway.admission.limits.gcra import SECOND, Rate
from gateway.admission.limits.memory_budgets import Budget, MemoryBudgets, Use
from gateway.admission.limits.redis_script import SCRIPT, SHA, arguments, call, trial
from gateway.protocols.theeye.routes import RouteKind

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer

KEYS = (b"one", b"two")

USES = st.lists(
    st.tuples(
        st.integers(0, 4 * SECOND) | st.just(0),
        st.sampled_from(Use),
        st.sampled_from([KEYS[:1], KEYS[1:], KEYS, KEYS[::-1]]),
    ),
    max_size=60,
)


def budget(key: bytes, rate: Rate) -> Budget:
    return Budget(RouteKind.OTHER, key, rate, is_known=True)


def test_memory_and_redis_decide_alike(redis_server: RedisServer) -> None:
    """In a function of its own event loop: hypothesis calls it many times."""
    rates = st.builds(Rate, st.floats(0.05, 1000, allow_nan=False), st.integers(1, 8))

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(rates=st.tuples(rates, rates), uses=USES, began=st.integers(0, 2 * 10**15))
    def decide_alike(
        rates: tuple[Rate, Rate], uses: list[tuple[int, Use, tuple[bytes, ...]]], began: int
    ) -> None:
        asyncio.run(compared(redis_server.url, dict(zip(KEYS, rates, strict=True)), uses, began))

    decide_alike()


async def compared(
    url: str, rates: dict[bytes, Rate], uses: list[tuple[int, Use, tuple[bytes, ...]]], now: int
) -> None:
    memory = MemoryBudgets()
    async with Redis.from_url(url) as client:
        await client.flushall()
        script = client.register_script(SCRIPT)
        for gap, use, keys in uses:
            now += gap
            budgets = [budget(key, rates[key]) for key in keys]
            at, level = await script(keys, arguments(budgets, use, [0] * len(keys), now))
            expected = memory.use(budgets, use, now)
            assert budgets[at - 1] is expected.refused if at else expected.refused is None
            assert level == expected.level


async def test_script_is_known_by_its_hash_after_a_call_by_text(redis_server: RedisServer) -> None:
    made = call([budget(b"k", Rate(1.0, 2))], Use.TAKE, [0])
    by_text = await redis_server.command(*made.by_text)
    by_hash = await redis_server.command(*made.by_hash)
    assert (by_text, by_hash[0]) == ([0, SECOND], 0)
    assert await redis_server.command("SCRIPT", "EXISTS", SHA) == [True]


async def test_trial_is_always_written(redis_server: RedisServer) -> None:
    for _ in range(50):
        made = trial()
        assert made.verdict(await redis_server.command(*made.by_text)).refused is None
        assert await redis_server.command("DEL", *made.keys) == 1


@pytest.mark.parametrize(
    "reply", [b"OK", 7, None, [], [0], [0, -1], [-1, 0], [2, 0], [0, 0, 0], [b"0", 0], ValueError()]
)
def test_reply_that_is_none_of_the_scripts_is_no_verdict(reply: object) -> None:
    with pytest.raises(ValueError, match="no verdict"):
        call([budget(b"k", Rate(1.0, 2))], Use.TAKE, [0]).verdict(reply)
