import asyncio

import pytest

from gateway.sync.jobs.ranges import IdRange
from gateway.sync.watch.ground import Ground
from gateway.sync.watch.state import PollState, Watch
from tests.support.watched import Watched, access, job_ids


def test_ground_without_members_is_never_due() -> None:
    ground = Ground(b"acme", lambda _state, _since: None, float("-inf"))
    assert ground.next_due == float("inf")
    assert ground.scout() is None
    assert ground.to_list(0.0, 200) == []
    assert ground.freshen(0.0) == []


def test_watch_that_is_not_left_knows_nothing_of_looks() -> None:
    ground = Ground(b"acme", lambda _state, _since: None, float("-inf"))
    ground.looked(IdRange("0" * 24, "0" * 24), 5.0, 6.0)
    assert not ground.catch_up(PollState(Watch("0" * 24, 0.0)))


@pytest.mark.virtual_time
async def test_nothing_is_kept_of_many_watches_that_have_gone() -> None:
    watcher = Watched().watcher()
    jobs = job_ids(520)
    async with asyncio.TaskGroup() as group:
        for number, job_id in enumerate(jobs[:20]):
            group.create_task(watcher.wait(access(str(number), job_id), 10))
        await asyncio.gather(*(watcher.wait(access("many", job_id), 2) for job_id in jobs[20:]))
        (ground,) = (each for each in watcher._scheduler._batches if isinstance(each, Ground))
        await watcher.wait(access("next"), 0.001)
        assert len(ground._lists) < 200
