"""What an operator sees of all workers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from gateway.ops.glances.glance import Glance, Waits
from gateway.server.workers.channel import Question

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Ask = Callable[[Question], Awaitable[dict[int, msgspec.Raw]]]


class WorkersSights:
    """``ask`` gives the answers of the workers that answer in time; there should be ``processes``
    of them."""

    def __init__(self, processes: int, ask: Ask) -> None:
        self.processes = processes
        self._ask = ask
        self._draining = asyncio.Event()

    @property
    def is_draining(self) -> bool:
        return self._draining.is_set()

    def drain(self) -> None:
        """Tell those who look that the gateway is about to end."""
        self._draining.set()

    async def until_draining(self) -> None:
        await self._draining.wait()

    async def glances(self) -> dict[int, Glance]:
        answers = await self._ask(Question.GLANCE)
        return {
            number: msgspec.json.decode(content, type=Glance) for number, content in answers.items()
        }

    async def waits(self) -> list[Waits]:
        answers = await self._ask(Question.WAITS)
        return [msgspec.json.decode(content, type=Waits) for content in answers.values()]
