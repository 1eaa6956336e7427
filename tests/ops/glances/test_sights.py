import asyncio

import pytest

from gateway.ops.glances.sights import ProcessSights
from tests.ops.glances.test_lookout import Seen

pytestmark = pytest.mark.virtual_time


async def test_process_sees_itself() -> None:
    sights = ProcessSights(Seen().lookout)
    assert sights.processes == 1
    glances = await sights.glances()
    assert [*glances] == [1]
    assert [waits.count for waits in await sights.waits()] == [0]


async def test_those_who_look_are_told_at_once_that_the_gateway_drains() -> None:
    sights = ProcessSights(Seen().lookout)
    assert not sights.is_draining
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(sights.until_draining())
        await asyncio.sleep(5)
        assert not waiting.done()
        sights.drain()
    assert sights.is_draining
