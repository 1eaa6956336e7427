"""What is told to other processes, and how often; ``test_tethers`` holds what comes of it."""

from __future__ import annotations

import asyncio

import pytest

from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.tethers.tether import Departure, Presence, TetherRecord, creator_hash
from gateway.sync.tethers.tidings import RENEWED_AT_ONCE, Looked, Tidings
from gateway.sync.tethers.wish import Wish
from tests.support.tethered import SharedMemory, waiting
from tests.support.theeye import JOB_ID
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time

RECORD = TetherRecord(creator_hash(b"t", JOB_ID), Wish(on_timeout=True, on_disconnect=True))


def presence() -> Presence:
    access = JobAccess(JOB_ID, "acme", Credentials("", ()))
    return Presence(JOB_ID, waiting(JOB_ID), access, b"t")


async def test_process_by_itself_tells_nobody() -> None:
    tidings = Tidings(None, 15.0)
    tidings.start(lambda: [JOB_ID])
    tidings.renew([JOB_ID])
    tidings.let_go(JOB_ID)
    tidings.end(JOB_ID)
    assert not tidings.has_others
    assert await tidings.opened(JOB_ID, RECORD) == RECORD
    assert await tidings.look(presence()) is None
    await tidings.aclose()


async def test_those_that_wait_are_told_of_three_times_within_the_time() -> None:
    memory = SharedMemory()
    tidings = Tidings(memory.of(1), 15.0)
    await tidings.opened(JOB_ID, RECORD)
    held: list[str] | None = [JOB_ID]
    tidings.start(lambda: held)
    await asyncio.sleep(100)
    assert memory.asked["renew"] == 19
    assert now() - memory.kept[JOB_ID].seen <= 5.1
    held = []
    await asyncio.sleep(10)
    assert memory.asked["renew"] == 21, "which shows whether it answers"
    held = None
    await asyncio.sleep(100)
    assert memory.asked["renew"] == 21
    await tidings.aclose()


async def test_many_are_told_of_in_portions() -> None:
    memory = SharedMemory()
    tidings = Tidings(memory.of(1), 15.0)
    tidings.renew([f"{number:024x}" for number in range(3 * RENEWED_AT_ONCE + 1)])
    tidings.renew([])
    await tidings.aclose()
    assert memory.asked["renew"] == 4


async def test_what_others_know_is_asked_until_it_is_told_or_the_client_has_left() -> None:
    memory = SharedMemory(is_down=True)
    tidings = Tidings(memory.of(1), 15.0)
    one, other = presence(), presence()
    looking = [asyncio.ensure_future(tidings.look(asked)) for asked in (one, other)]  # noqa: TID251 - awaited
    await asyncio.sleep(20)
    other.departure = Departure.LOST
    await asyncio.sleep(20)
    assert [look.done() for look in looking] == [False, True]
    memory.is_down = False
    await memory.of(2).open(JOB_ID, RECORD)
    await asyncio.sleep(10)
    assert [look.result() for look in looking] == [Looked(RECORD), None]
    assert await tidings.look(presence()) == Looked(RECORD)
    await memory.of(2).end(JOB_ID)
    assert await tidings.look(presence()) == Looked(None)
    await tidings.aclose()


async def test_failure_to_tell_is_nobodys_failure() -> None:
    memory = SharedMemory(is_down=True)
    tidings = Tidings(memory.of(1), 15.0)
    tidings.renew([JOB_ID])
    tidings.let_go(JOB_ID)
    tidings.end(JOB_ID)
    assert await tidings.opened(JOB_ID, RECORD) == TetherRecord(
        RECORD.creator, Wish(on_timeout=True, on_disconnect=False)
    )
    await tidings.aclose()
    assert memory.asked["end"] == 1
