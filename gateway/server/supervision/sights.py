"""What an operator sees of all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.ops.glances.glance import Glance, Waits
from gateway.ops.glances.sights import Drainable
from gateway.server.workers.channel import Question

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Ask = Callable[[Question], Awaitable[dict[int, msgspec.Raw]]]


class WorkersSights(Drainable):
    """``ask`` gives the answers of the workers that answer in time; there should be ``processes``
    of them."""

    def __init__(self, processes: int, ask: Ask) -> None:
        super().__init__()
        self.processes = processes
        self._ask = ask

    async def glances(self) -> dict[int, Glance]:
        answers = await self._ask(Question.GLANCE)
        return {
            number: msgspec.json.decode(content, type=Glance) for number, content in answers.items()
        }

    async def waits(self) -> list[Waits]:
        answers = await self._ask(Question.WAITS)
        return [msgspec.json.decode(content, type=Waits) for content in answers.values()]
