from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.ops.operators.task_dump import (
    MOST_FRAMES,
    MOST_PLACES,
    MOST_TASKS,
    TaskDump,
    dump,
    own_tasks,
    tasks_route,
)
from gateway.tasks import Tasks
from tests.support.operators import app_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_aiohttp.plugin import AiohttpClient


async def inner(event: asyncio.Event) -> None:
    await event.wait()


async def outer(event: asyncio.Event) -> None:
    await inner(event)


async def deep(event: asyncio.Event, depth: int) -> None:
    if depth:
        await deep(event, depth - 1)
    await event.wait()


async def numbers(event: asyncio.Event) -> AsyncIterator[int]:
    await event.wait()
    yield 1


async def count(event: asyncio.Event) -> None:
    async for _ in numbers(event):
        pass


async def refuse_to_end(event: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await event.wait()


async def test_tasks_are_told_with_where_they_wait_and_those_at_one_place_together() -> None:
    event, tasks = asyncio.Event(), Tasks()
    for name in ("held", "held", "Task-named-by-nobody"):
        tasks.spawn(outer(event), name=name)
    counting = tasks.spawn(count(event), name="count")
    stubborn = tasks.spawn(refuse_to_end(event), name="stubborn")
    await asyncio.sleep(0)
    stubborn.cancel()
    await asyncio.sleep(0)
    told = own_tasks()
    assert (told.count, told.truncated) == (6, False)
    held = told.tasks[0]
    assert (held.number, held.name, held.state) == (2, "held", "waiting")
    assert [frame.split(" ")[1] for frame in held.stack] == ["outer", "inner", "Event.wait"]
    assert held.stack[0].startswith(f"{__name__}:")
    by_name = {place.name: place for place in told.tasks}
    assert by_name["stubborn"].state == "cancelling"
    assert by_name["count"].stack[0].endswith(" count")
    assert any(place.state == "running" for place in told.tasks)
    event.set()
    await asyncio.wait([counting, stubborn])
    await tasks.aclose()


async def test_dump_is_bounded() -> None:
    event, tasks = asyncio.Event(), Tasks()
    for number in range(MOST_TASKS + 10):
        tasks.spawn(deep(event, 40), name=f"task {number % (MOST_PLACES + 10)}")
    await asyncio.sleep(0)
    told = own_tasks()
    assert told.count == MOST_TASKS + 11
    assert told.truncated
    assert len(told.tasks) == MOST_PLACES
    assert len(told.tasks[0].stack) == MOST_FRAMES
    await tasks.aclose()


async def test_tasks_that_are_over_or_not_of_python_stand_nowhere() -> None:
    async def nothing() -> None: ...

    task = asyncio.get_running_loop().create_task(nothing())
    await task
    assert dump([task], None).tasks[0].stack == ()


async def test_tasks_of_all_processes_are_told(aiohttp_client: AiohttpClient) -> None:
    class Two:
        async def tasks(self) -> dict[str, TaskDump]:
            return {"worker 1": own_tasks(), "worker 2": TaskDump(0, False, [])}

    asked = await aiohttp_client(app_of([tasks_route(Two())]))
    told = (await (await asked.get("/tasks")).json())["processes"]
    assert set(told) == {"worker 1", "worker 2"}
    assert told["worker 2"] == {"count": 0, "truncated": False, "tasks": []}
    assert told["worker 1"]["count"] >= 1
