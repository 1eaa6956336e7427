from __future__ import annotations

import asyncio

import msgspec
import pytest

from gateway.ops.glances.glance import Waits
from gateway.server.supervision.sights import WorkersSights
from gateway.server.workers.channel import Question
from tests.ops.glances.test_together import wait
from tests.support.sights import glance

pytestmark = pytest.mark.virtual_time

GLANCES = {
    1: glance(seconds=5.0, waits=Waits(2, [wait(5.0)])),
    3: glance(seconds=7.0, trouble="upstream silent"),
}


async def ask(question: Question) -> dict[int, msgspec.Raw]:
    """The answers of those workers that answer."""
    return {
        number: msgspec.Raw(msgspec.json.encode(one if question is Question.GLANCE else one.waits))
        for number, one in GLANCES.items()
    }


async def test_workers_are_seen_by_their_numbers_as_far_as_they_answer() -> None:
    sights = WorkersSights(3, ask)
    assert sights.processes == 3
    assert await sights.glances() == GLANCES


async def test_waits_are_those_of_each_worker() -> None:
    waits = await WorkersSights(3, ask).waits()
    assert [(one.count, len(one.rows)) for one in waits] == [(2, 1), (0, 0)]


async def test_those_who_look_are_told_that_the_workers_drain() -> None:
    sights = WorkersSights(3, ask)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(sights.until_draining())
        await asyncio.sleep(1)
        assert not waiting.done()
        assert not sights.is_draining
        sights.drain()
    assert sights.is_draining
