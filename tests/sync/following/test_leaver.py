from __future__ import annotations

import asyncio

from gateway.sync.following.leaver import FollowedJob, Leaver
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.kept.result_key import key_of
from gateway.sync.watch.state import LastSeen
from gateway.tasks import Tasks


async def never() -> None:
    await asyncio.Event().wait()


async def test_job_that_is_given_up_is_neither_waited_for_nor_read_any_more() -> None:
    access = JobAccess("64ac6478646bb71ee82e3a72", "acme", Credentials("", ()))
    leaver = Leaver(access, b"holder", output_only=False)
    loop, tasks = asyncio.get_running_loop(), Tasks()
    one = FollowedJob(key_of(access, b"holder"), leaver, LastSeen(0.0), 0.0, 1.0)
    one.stop()
    one.timer = loop.call_later(60, lambda: None)
    one.task = tasks.spawn(never(), name="follow")
    one.stop()
    assert one.timer.cancelled()
    await asyncio.wait([one.task])
    assert one.task.cancelled()
