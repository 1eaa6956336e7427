"""Where the operators' page looks: at one process here; ``server.workers`` looks at several."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from gateway.ops.glances.glance import LISTED_WAITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.ops.glances.glance import Glance, Waits
    from gateway.ops.glances.lookout import Lookout


class Sights(Protocol):
    """The processes that an operator looks at."""

    processes: int
    """How many there should be."""

    @property
    def is_draining(self) -> bool:
        """The gateway is about to end."""
        raise NotImplementedError

    async def until_draining(self) -> None:
        """Wait for that."""
        raise NotImplementedError

    async def glances(self) -> Mapping[int, Glance]:
        """What each sees that answers, by its number."""
        raise NotImplementedError

    async def waits(self) -> Sequence[Waits]:
        """Who waits in each of them, ``LISTED_WAITS`` rows at most."""
        raise NotImplementedError


class Drainable:
    """Tells those who look that the gateway is about to end."""

    def __init__(self) -> None:
        self._draining = asyncio.Event()

    @property
    def is_draining(self) -> bool:
        return self._draining.is_set()

    def drain(self) -> None:
        self._draining.set()

    async def until_draining(self) -> None:
        await self._draining.wait()


class ProcessSights(Drainable):
    """This process."""

    processes = 1

    def __init__(self, lookout: Lookout) -> None:
        super().__init__()
        self.lookout = lookout

    async def glances(self) -> dict[int, Glance]:
        return {1: self.lookout.glance()}

    async def waits(self) -> list[Waits]:
        return [self.lookout.waits(LISTED_WAITS)]
