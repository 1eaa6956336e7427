from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.errors import BadGateway
from gateway.ops import health
from gateway.ops.health import FRESH_SECONDS, GRACE_SECONDS, Contact, Health, Readiness


@dataclass
class Stage:
    """A gateway's surroundings, to be changed between questions."""

    now: float = 1000.0
    reachable: bool = True
    draining: bool = False
    traffic_failing_since: float | None = None
    failure: Exception | None = None
    probes: int = 0
    never: asyncio.Event | None = None
    health: Health = field(init=False)

    def __post_init__(self) -> None:
        self.health = Health(
            clock=lambda: self.now,
            is_draining=lambda: self.draining,
            upstream_failing_since=lambda: self.traffic_failing_since,
            probe=self.probe,
        )

    async def probe(self) -> bool:
        self.probes += 1
        if self.never is not None:
            await self.never.wait()
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return self.reachable

    async def readiness_after(self, seconds: float) -> Readiness:
        self.now += seconds
        return await self.health.readiness()


async def test_health_is_ready_when_the_upstream_can_be_reached() -> None:
    assert await Stage().health.readiness() == Readiness()


async def test_health_is_not_ready_when_draining() -> None:
    stage = Stage(draining=True)
    assert (await stage.health.readiness()).reason == "draining"
    assert stage.probes == 0


async def test_health_is_not_ready_from_the_start_until_the_upstream_was_reached() -> None:
    stage = Stage(reachable=False)
    assert (await stage.health.readiness()).reason == "upstream unreachable"
    stage.reachable = True
    assert await stage.readiness_after(FRESH_SECONDS) == Readiness()


async def test_health_bears_with_a_short_restart_of_the_upstream() -> None:
    stage = Stage()
    await stage.health.readiness()
    stage.reachable = False
    assert await stage.readiness_after(FRESH_SECONDS) == Readiness()
    stage.reachable = True
    assert await stage.readiness_after(GRACE_SECONDS) == Readiness()


async def test_health_becomes_ready_again_without_traffic() -> None:
    stage = Stage()
    await stage.health.readiness()
    stage.reachable, stage.traffic_failing_since = False, stage.now
    await stage.readiness_after(FRESH_SECONDS)
    gone = await stage.readiness_after(GRACE_SECONDS)
    assert gone == Readiness("upstream unreachable", FRESH_SECONDS + GRACE_SECONDS)
    stage.reachable = True
    assert await stage.readiness_after(FRESH_SECONDS) == Readiness()


@pytest.mark.parametrize("failure", [ConnectionRefusedError(), TimeoutError(), BadGateway()])
async def test_health_takes_a_probe_that_fails_for_unreachable(failure: Exception) -> None:
    stage = Stage(failure=failure)
    assert (await stage.health.readiness()).reason == "upstream unreachable"


async def test_health_answers_in_time_when_a_probe_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.01)
    stage = Stage(never=asyncio.Event())
    assert (await stage.health.readiness()).reason == "upstream unreachable"


async def test_health_probes_once_for_all_who_ask_within_two_seconds() -> None:
    stage = Stage()
    await asyncio.gather(*(stage.health.readiness() for _ in range(20)))
    await stage.readiness_after(FRESH_SECONDS / 2)
    assert stage.probes == 1
    await stage.readiness_after(FRESH_SECONDS / 2)
    assert stage.probes == 2


@pytest.mark.parametrize(
    ("contact", "traffic_failing_since", "since"),
    [
        (Contact(), None, None),
        (Contact(reached_at=10), 5.0, None),
        (Contact(failing_since=20), None, 20),
        (Contact(reached_at=10, failing_since=20), 15.0, 15.0),
        (Contact(reached_at=10, failing_since=20), 5.0, 20),
        (Contact(reached_at=10, failing_since=20), 30.0, 20),
        (Contact(failing_since=20), 5.0, 5.0),
    ],
)
def test_contact_counts_from_the_first_failure_after_the_last_success(
    contact: Contact, traffic_failing_since: float | None, since: float | None
) -> None:
    assert contact.unreachable_since(traffic_failing_since) == since


def test_contact_remembers_the_first_failure_only() -> None:
    contact = Contact().after(1, reached=True).after(2, reached=False).after(3, reached=False)
    assert contact == Contact(reached_at=1, failing_since=2)
    assert contact.after(4, reached=True) == Contact(reached_at=4)
