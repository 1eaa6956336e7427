from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gateway.sync.kept.turns import Turns
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time


async def one(turns: Turns, client: bytes, seconds: float = 1.0) -> float:
    async with turns.of(client):
        await asyncio.sleep(seconds)
    return now()


async def test_few_run_at_once_and_one_of_each_client() -> None:
    turns = Turns(2)
    ends = await asyncio.gather(*(one(turns, client) for client in (b"a", b"b", b"c")))
    assert sorted(ends) == [1, 1, 2]
    assert await asyncio.gather(*(one(turns, b"a") for _ in range(3))) == [3, 4, 5]
    assert len(turns) == 0


async def test_client_with_many_keeps_the_others_waiting_for_one_of_its_turns() -> None:
    turns = Turns(1)
    loop = asyncio.get_running_loop()
    many = [loop.create_task(one(turns, b"many")) for _ in range(50)]
    await asyncio.sleep(0)
    assert await one(turns, b"one") == 2
    for task in many:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*many)
    await asyncio.sleep(0)
    assert len(turns) == 0
