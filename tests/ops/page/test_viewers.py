from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Any

import msgspec
import pytest

from gateway.ops.page.snapshot import PageSnapshots
from gateway.ops.page.viewers import GAP_SECONDS, MOST, POINTS, Viewers
from tests.support.sights import Told, glance
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time


class Ticking(Told):
    """One process whose clock is that of the test."""

    async def glances(self) -> dict[int, Any]:
        self.asked += 1
        return {1: glance(at=1000 + now(), seconds=now())}


def viewers(sights: Told) -> Viewers:
    return Viewers(PageSnapshots("1", sights), sights)


def decoded(event: bytes) -> tuple[str, Any]:
    name, data, end, rest = event.split(b"\n")
    assert (end, rest) == (b"", b"")
    return name.removeprefix(b"event: ").decode(), msgspec.json.decode(data.removeprefix(b"data: "))


async def looked(all_viewers: Viewers, seconds: float) -> list[tuple[str, Any]]:
    """What somebody sees who looks for so long."""
    events = []
    async with aclosing(all_viewers.events()) as stream:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for event in stream:
                    events.append(decoded(event))  # noqa: PERF401 - a time limit keeps them
    return events


async def test_snapshots_come_at_once_and_then_every_two_seconds() -> None:
    sights = Ticking()
    events = await looked(viewers(sights), 5.0)
    assert [(name, shot["at"]) for name, shot in events] == [
        ("snapshot", 1000 + number * GAP_SECONDS) for number in range(3)
    ]


async def test_nothing_is_looked_at_while_nobody_looks() -> None:
    sights = Ticking()
    everybody = viewers(sights)
    await asyncio.sleep(10)
    assert sights.asked == 0
    await looked(everybody, 3.0)
    asked = sights.asked
    await asyncio.sleep(60)
    assert sights.asked == asked
    assert (await looked(everybody, 1.0))[0][1]["at"] == now() + 999


async def test_all_who_look_share_one_snapshot() -> None:
    sights = Ticking()
    everybody = viewers(sights)
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(looked(everybody, 7.0)) for _ in range(MOST)]
        await asyncio.sleep(1)
        assert everybody.is_full
    assert not everybody.is_full
    assert sights.asked == 4
    assert {len(look.result()) for look in looks} == {4}


async def test_whoever_comes_later_is_told_the_charts_so_far() -> None:
    everybody = viewers(Ticking())
    async with asyncio.TaskGroup() as group:
        group.create_task(looked(everybody, 30.0))
        await asyncio.sleep(9)
        (first, history), (second, shot), *_ = await looked(everybody, 3.0)
    assert (first, second) == ("history", "snapshot")
    assert [point["at"] for point in history] == [1002, 1004, 1006, 1008]
    assert shot["at"] == 1008


async def test_history_is_bounded() -> None:
    everybody = viewers(Ticking())
    async with asyncio.TaskGroup() as group:
        group.create_task(looked(everybody, 2 * POINTS * GAP_SECONDS))
        await asyncio.sleep(2 * POINTS * GAP_SECONDS - 1)
        history = (await looked(everybody, 0.5))[0][1]
    assert len(history) == POINTS


async def test_viewer_that_cannot_keep_up_misses_snapshots() -> None:
    seen = []
    async with aclosing(viewers(Ticking()).events()) as stream:
        async for event in stream:
            seen.append(decoded(event)[1]["at"])
            if len(seen) == 3:
                break
            await asyncio.sleep(10.5)
    assert seen == [1000, 1010, 1020]


async def test_drain_is_told_at_once_and_ends_the_stream() -> None:
    sights = Ticking()
    everybody = viewers(sights)
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(looked(everybody, 60.0)) for _ in range(2)]
        await asyncio.sleep(2.5)
        sights.draining.set()
    assert now() == 2.5
    for look in looks:
        assert [shot["is_draining"] for _, shot in look.result()] == [False, False, True]


async def test_whoever_comes_during_the_drain_is_told_so_and_sent_away() -> None:
    sights = Ticking()
    sights.draining.set()
    everybody = viewers(sights)
    for _ in range(2):
        (event,) = await looked(everybody, 60.0)
        assert event[1]["is_draining"]


async def test_viewer_that_is_slow_gets_the_last_snapshot_too() -> None:
    sights = Ticking()
    seen = []
    async with aclosing(viewers(sights).events()) as stream:
        async for event in stream:
            seen.append(decoded(event)[1]["is_draining"])
            sights.draining.set()
            await asyncio.sleep(9)
    assert seen == [False, True]


async def test_fault_ends_the_streams_and_the_next_viewer_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Faulty(Ticking):
        async def glances(self) -> dict[int, Any]:
            if now() == 0:
                raise ZeroDivisionError
            return await super().glances()

    everybody = viewers(Faulty())
    assert await looked(everybody, 60.0) == []
    await asyncio.sleep(0)
    assert "look for operators" in caplog.text
    await asyncio.sleep(1)
    assert len(await looked(everybody, 1.0)) == 1
