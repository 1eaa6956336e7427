"""What a process is doing: its asyncio tasks, and where each of them waits.

A task tells only the outermost of its frames; the others are found by what each coroutine awaits.
Of a compiled coroutine nothing is known but that it is there. Tasks that wait at the same place
are told together, because there may be one for each of thousands of clients.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from aiohttp import web

from gateway.ops.operators.routes import Audience, OperatorRoute, told

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MOST_TASKS = 2000
"""That are looked at: a thousandth of a second for each hundred or two."""
MOST_PLACES = 200
"""That are told."""
MOST_FRAMES = 16
_UNNAMED = "Task-"
"""What asyncio calls a task that was given no name, with a number."""


class TaskPlace(msgspec.Struct, frozen=True):
    """Tasks that stand at the same place."""

    number: int
    name: str
    """Empty for tasks that have none of their own."""
    state: str
    """waiting, running or cancelling."""
    stack: tuple[str, ...]
    """The frames, outermost first: ``module:line function``."""


class TaskDump(msgspec.Struct, frozen=True):
    """The tasks of a process, those first that there are most of."""

    count: int
    truncated: bool
    """Not all of them were looked at, or are told."""
    tasks: list[TaskPlace]


class Busy(Protocol):
    """Whoever knows what its processes are doing."""

    async def tasks(self) -> dict[str, TaskDump]:
        """The tasks of each process that answers, by what the process is."""
        raise NotImplementedError


def dump(tasks: Collection[asyncio.Task[Any]], current: asyncio.Task[Any] | None) -> TaskDump:
    """``current`` is the one that runs at this moment."""
    found = Counter(
        (_name(task), _state(task, current), tuple(_stack(task.get_coro())))
        for task in islice(tasks, MOST_TASKS)
    )
    places = [
        TaskPlace(number, name, state, stack)
        for (name, state, stack), number in found.most_common(MOST_PLACES)
    ]
    is_cut = len(tasks) > MOST_TASKS or len(found) > MOST_PLACES
    return TaskDump(len(tasks), is_cut, places)


def own_tasks() -> TaskDump:
    """Those of the running loop."""
    return dump(asyncio.all_tasks(), asyncio.current_task())


def tasks_route(busy: Busy) -> OperatorRoute:
    async def answer(_: web.Request) -> web.Response:
        return told(200, {"processes": await busy.tasks()})

    about = "the asyncio tasks, and where they wait"
    return OperatorRoute("GET", "/tasks", Audience.OPERATORS, about, answer)


def _name(task: asyncio.Task[Any]) -> str:
    name = task.get_name()
    return "" if name.startswith(_UNNAMED) else name


def _state(task: asyncio.Task[Any], current: asyncio.Task[Any] | None) -> str:
    if task is current:
        return "running"
    return "cancelling" if task.cancelling() else "waiting"


def _stack(awaited: Any) -> Iterator[str]:
    """What is awaited by whom, ``MOST_FRAMES`` deep."""
    for _ in range(MOST_FRAMES):
        kind = next((each for each in ("cr", "gi", "ag") if hasattr(awaited, f"{each}_frame")), "")
        if not kind:
            if hasattr(awaited, "__qualname__"):
                yield awaited.__qualname__
            return
        frame = getattr(awaited, f"{kind}_frame")
        if frame is None:
            return
        module = frame.f_globals.get("__name__", "?")
        yield f"{module}:{frame.f_lineno} {frame.f_code.co_qualname}"
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
