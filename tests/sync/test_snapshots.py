import asyncio

import pytest

from gateway.protocols.theeye.job import parse_job
from gateway.sync.jobs.reader import Found, Pending
from gateway.sync.snapshots import RESUME_SECONDS, Snapshots, shown
from tests.support.running_workflow import OWN_ID, A, access
from tests.support.theeye import JOB_ID, job
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time


def found(pending: Pending | None = None) -> Found:
    parsed = parse_job(job(task_id=A))
    assert parsed is not None
    return Found(parsed, (), pending)


def test_what_is_shown_is_of_the_task() -> None:
    snapshot = shown(found(), 3.0, None)
    assert (snapshot.known.id, snapshot.last_seen.task) == (JOB_ID, ("acme", A))
    assert snapshot.awaited is None


def test_workflow_goes_on_waiting_for_what_it_waited_for() -> None:
    first = shown(found(Pending(OWN_ID, A)), 3.0, None)
    second = shown(found(Pending(OWN_ID, A)), 4.0, first)
    assert first.awaited is second.awaited is not None


def test_read_that_told_nothing_puts_the_next_look_off() -> None:
    of_task, between = shown(found(), 3.0, None), shown(found(Pending()), 3.0, None)
    assert of_task.put_off() is of_task
    later = between.put_off()
    assert later.awaited is not None
    assert later.awaited.gap_seconds == 0.1


async def test_client_that_comes_soon_goes_on_where_it_was() -> None:
    snapshots = Snapshots(lambda _seen: True, now)
    snapshot = shown(found(), now(), None)
    snapshots.keep(access(), snapshot)
    assert snapshots.of(access()) is snapshot
    assert snapshots.of(access(bearer="another")) is None
    await asyncio.sleep(RESUME_SECONDS + 0.1)
    assert snapshots.of(access()) is None


async def test_what_was_seen_too_long_ago_is_read_again() -> None:
    snapshots = Snapshots(lambda _seen: False, now)
    snapshots.keep(access(), shown(found(), now(), None))
    assert snapshots.of(access()) is None


async def test_workflows_own_job_is_resumed_only_as_what_it_was_waited_for() -> None:
    snapshots = Snapshots(lambda _seen: True, now)
    snapshots.keep(access().of_job(OWN_ID), shown(found(), now(), None))
    assert snapshots.of(access()) is None
