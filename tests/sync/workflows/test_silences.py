import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway.sync.workflows.shared_lists import WorkflowLook
from gateway.sync.workflows.silences import Silences
from gateway.sync.workflows.task_jobs import ListedJob
from tests.support.running_workflow import EPOCH, A, B, access, ended, moment, task_job
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time


def look(*jobs: Any, at: Any = 0.0) -> Any:
    listed = msgspec.convert(jobs, list[ListedJob])
    return WorkflowLook(None, listed, EPOCH + timedelta(seconds=at))


async def test_first_look_goes_by_the_upstreams_clock() -> None:
    assert Silences(now).seconds(access(), look(ended(1, A), at=31)) == 30


async def test_time_that_passes_here_counts_where_the_upstreams_clock_is_behind() -> None:
    silences = Silences(now)
    silent = look(ended(1, A, last_update=moment(3600)))
    assert silences.seconds(access(), silent) == 0
    await asyncio.sleep(5)
    assert silences.seconds(access(), silent) == pytest.approx(5)


async def test_step_that_was_seen_is_when_the_silence_begins_whatever_the_upstream_says() -> None:
    silences = Silences(now)
    silences.seconds(access(), look(task_job(1, A), at=3600))
    await asyncio.sleep(5)
    assert silences.seconds(access(), look(ended(1, A), at=3600)) == 0
    await asyncio.sleep(5)
    assert silences.seconds(access(), look(ended(1, A), at=3600)) == pytest.approx(5)
    assert silences.seconds(access(), look(ended(1, A), ended(2, B), at=3600)) == 0


async def test_workflows_and_tokens_are_seen_apart() -> None:
    silences = Silences(now)
    silences.seconds(access(), look(task_job(1, A)))
    for other in (access(bearer="another"), access(job_id="6b058e9a5b008b5bdfdf03ff")):
        assert silences.seconds(other, look(ended(1, A), at=31)) == 30


async def test_workflow_without_a_task_job_is_not_silent() -> None:
    silences = Silences(now)
    assert silences.seconds(access(), look()) is None
    await asyncio.sleep(5)
    assert silences.seconds(access(), look()) is None
