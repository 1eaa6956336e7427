import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.sync.jobs.listing import Unlisted
from gateway.sync.workflows.shared_lists import (
    LOOK_SECONDS,
    SPACING_SECONDS,
    SharedLists,
    WorkflowLook,
    time_of,
)
from gateway.tasks import Tasks
from tests.support.running_workflow import (
    EPOCH,
    OWN_ID,
    A,
    RunningWorkflow,
    access,
    labelled,
    task_job,
)
from tests.support.theeye import plenty
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time
BY_ID, OF_WORKFLOWS = "/acme/job by id", "/acme/job of workflows"


def other(number: Any) -> Any:
    return access(job_id=f"6b058e9a5b008b5bdfdf2{number:03d}")


class Slow(RunningWorkflow):
    async def request(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0.1)
        return await super().request(*args, **kwargs)


class Silent(RunningWorkflow):
    async def request(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(3600)
        return await super().request(*args, **kwargs)


def lists_of(upstream: Any) -> Any:
    return SharedLists(upstream, plenty(), now)


async def test_look_has_the_own_job_its_task_jobs_and_the_upstreams_time() -> None:
    upstream = RunningWorkflow(labelled(), jobs=[task_job(1, A)])
    await asyncio.sleep(3)
    look = await lists_of(upstream).look(access())
    assert isinstance(look, WorkflowLook)
    assert look.own is not None
    assert (look.own.id, [job.task_id for job in look.jobs]) == (OWN_ID, [A])
    assert look.at == EPOCH + timedelta(seconds=3)
    assert upstream.paths() == [BY_ID, OF_WORKFLOWS]


async def test_thousand_looks_at_once_take_a_few_lists() -> None:
    upstream = RunningWorkflow(labelled())
    lists = lists_of(upstream)
    looks = await asyncio.gather(*(lists.look(other(number)) for number in range(1000)))
    assert all(isinstance(look, WorkflowLook) for look in looks)
    assert lists.sent == len(upstream.asked) <= 12


async def test_who_comes_while_lists_are_on_their_way_is_in_the_next() -> None:
    upstream = Slow(labelled())
    lists = lists_of(upstream)
    first = Tasks().spawn(lists.look(access()), name="look")
    await asyncio.sleep(0.05)
    later = [Tasks().spawn(lists.look(other(number)), name="look") for number in range(3)]
    await asyncio.gather(first, *later)
    assert (len(upstream.asked), round(now(), 6)) == (4, 0.45)


async def test_looks_that_fill_their_lists_follow_at_once() -> None:
    lists = lists_of(RunningWorkflow(labelled()))
    await asyncio.gather(*(lists.look(other(number)) for number in range(1000)))
    assert now() <= SPACING_SECONDS


async def test_same_look_is_taken_once() -> None:
    upstream = RunningWorkflow(labelled())
    lists = lists_of(upstream)
    await asyncio.gather(lists.look(access()), lists.look(access()))
    assert lists.sent == 2


async def test_tokens_share_nothing() -> None:
    upstream = RunningWorkflow(labelled())
    lists = lists_of(upstream)
    await asyncio.gather(lists.look(access()), lists.look(access(bearer="another")))
    assert lists.sent == 4


async def test_client_that_leaves_does_not_end_the_look_of_others() -> None:
    upstream = Slow(labelled())
    lists = lists_of(upstream)
    leaving = Tasks().spawn(lists.look(access()), name="look")
    staying = Tasks().spawn(lists.look(access()), name="look")
    await asyncio.sleep(0.05)
    leaving.cancel()
    assert isinstance(await staying, WorkflowLook)
    assert leaving.cancelled()


@pytest.mark.parametrize(
    ("path", "status", "content", "reason"),
    [
        (BY_ID, 401, b'"Unauthorized"', Unlisted.DENIED),
        (OF_WORKFLOWS, 400, b'"host is required"', Unlisted.REFUSED),
        (BY_ID, 503, b"", Unlisted.FAILING),
        (OF_WORKFLOWS, 0, b"", Unlisted.FAILING),
        (BY_ID, 500, b"{}", Unlisted.TOO_MUCH),
        (OF_WORKFLOWS, 200, b"[" + b" " * 17_000_000 + b"]", Unlisted.TOO_MUCH),
        (OF_WORKFLOWS, 200, b'[{"id":"1","trigger_name":1}]', Unlisted.TOO_MUCH),
    ],
)
async def test_list_that_cannot_be_had_says_why(
    path: Any, status: Any, content: Any, reason: Any
) -> None:
    upstream = RunningWorkflow(labelled(), refused={path: (status, content)})
    assert await lists_of(upstream).look(access()) is reason


async def test_of_lists_that_are_too_much_halves_are_asked_for() -> None:
    upstream = RunningWorkflow(labelled(), refused={BY_ID: (500, b"{}")})
    lists = lists_of(upstream)
    looks = await asyncio.gather(*(lists.look(other(number)) for number in range(4)))
    assert looks == [Unlisted.TOO_MUCH] * 4
    assert lists.sent == 7


async def test_upstream_that_never_responds_is_given_up() -> None:
    assert await lists_of(Silent(labelled())).look(access()) is Unlisted.FAILING
    assert now() == LOOK_SECONDS


async def test_close_ends_looks_that_are_under_way() -> None:
    lists = lists_of(Silent(labelled()))
    looking = Tasks().spawn(lists.look(access()), name="look")
    await asyncio.sleep(1)
    await lists.aclose()
    assert await looking is Unlisted.FAILING


@pytest.mark.parametrize(
    "date", [b"", b"yesterday", b"\xff", b"Mon, 30 Nov 2026 09:00:00 +99999999999999999999"]
)
def test_time_is_our_own_where_the_response_has_none_rfc9110_6_6_1(date: Any) -> None:
    fields = [(b"Date", date)] if date else []
    assert time_of(fields, lambda: 5.0) == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
