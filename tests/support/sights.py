"""Processes that an operator looks at, as a test says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.ops.glances.glance import Glance, Waits

NOTHING = Glance(0.0, 0.0, "", {}, Waits(0, []), [], [], [])


def glance(**known: Any) -> Glance:
    return msgspec.structs.replace(NOTHING, **known)


@dataclass
class Told:
    """``seen`` is what each process sees, by its number."""

    seen: dict[int, Glance] = field(default_factory=dict)
    processes: int = 1
    asked: int = 0
    draining: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_draining(self) -> bool:
        return self.draining.is_set()

    async def until_draining(self) -> None:
        await self.draining.wait()

    async def glances(self) -> dict[int, Glance]:
        self.asked += 1
        return dict(self.seen)

    async def waits(self) -> list[Waits]:
        return [glance.waits for glance in self.seen.values()]
