from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.ops.operators.health import (
    FRESH_SECONDS,
    GRACE_SECONDS,
    PROBE_SECONDS,
    Health,
    Readiness,
)
from gateway.upstream.signs import Signs, Trouble


@dataclass
class Stage:
    """A gateway's surroundings, to be changed between questions."""

    now: float = 1000.0
    trouble: Trouble | None = None
    draining: bool = False
    probes: int = 0
    signs: Signs = field(default_factory=Signs)
    health: Health = field(init=False)

    def __post_init__(self) -> None:
        self.health = Health(
            clock=lambda: self.now,
            is_draining=lambda: self.draining,
            signs=self.signs,
            probe=self.probe,
        )

    async def probe(self, seconds: float) -> bool:
        assert seconds == PROBE_SECONDS
        self.probes += 1
        await asyncio.sleep(0)
        if self.trouble is None:
            self.signs.reached(self.now)
        else:
            self.signs.failed(self.now, self.trouble)
        return self.trouble is None

    async def readiness_after(self, seconds: float) -> Readiness:
        self.now += seconds
        return await self.health.readiness()


async def test_health_is_ready_when_the_upstream_answers() -> None:
    assert await Stage().health.readiness() == Readiness()


async def test_health_is_not_ready_when_draining() -> None:
    stage = Stage(draining=True)
    assert (await stage.health.readiness()).reason == "draining"
    assert stage.probes == 0


@pytest.mark.parametrize("trouble", list(Trouble))
async def test_health_is_not_ready_from_the_start_until_the_upstream_answered(
    trouble: Trouble,
) -> None:
    stage = Stage(trouble=trouble)
    assert (await stage.health.readiness()).reason == trouble.value
    stage.trouble = None
    assert await stage.readiness_after(FRESH_SECONDS) == Readiness()


async def test_health_bears_with_a_short_restart_of_the_upstream() -> None:
    stage = Stage()
    await stage.health.readiness()
    stage.trouble = Trouble.UNREACHABLE
    assert await stage.readiness_after(FRESH_SECONDS) == Readiness()
    stage.trouble = None
    assert await stage.readiness_after(GRACE_SECONDS) == Readiness()


async def test_health_becomes_ready_again_without_traffic() -> None:
    stage = Stage()
    await stage.health.readiness()
    stage.trouble = Trouble.SILENT
    stage.signs.failed(stage.now, Trouble.SILENT)
    await stage.readiness_after(FRESH_SECONDS)
    gone = await stage.readiness_after(GRACE_SECONDS)
    assert gone == Readiness("upstream silent", FRESH_SECONDS + GRACE_SECONDS)
    stage.trouble = None
    assert await stage.readiness_after(FRESH_SECONDS) == Readiness()


async def test_health_is_ready_while_clients_are_answered_however_slowly() -> None:
    stage = Stage()
    await stage.health.readiness()
    stage.trouble = Trouble.SILENT
    for _ in range(10):
        assert await stage.readiness_after(FRESH_SECONDS) == Readiness()
        stage.signs.answered(stage.now, is_refusal=False)


async def test_health_asks_nothing_while_clients_are_answered() -> None:
    stage = Stage()
    for _ in range(10):
        stage.signs.answered(stage.now, is_refusal=True)
        assert await stage.readiness_after(FRESH_SECONDS / 2) == Readiness()
    assert stage.probes == 0


async def test_health_probes_once_for_all_who_ask_within_two_seconds() -> None:
    stage = Stage(trouble=Trouble.UNREACHABLE)
    await asyncio.gather(*(stage.health.readiness() for _ in range(20)))
    await stage.readiness_after(FRESH_SECONDS / 2)
    assert stage.probes == 1
    await stage.readiness_after(FRESH_SECONDS / 2)
    assert stage.probes == 2
