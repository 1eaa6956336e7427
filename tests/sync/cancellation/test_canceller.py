"""A job is read before it is cancelled, one request at a time, whoever wants it cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.errors import BadGateway, GatewayError, GatewayTimeout, MemoryFull, Response
from gateway.protocols.theeye.job import parse_job
from gateway.sync.cancellation.canceller import (
    Cancelled,
    Canceller,
    CancelReason,
    CancelVerdict,
    HasEnded,
    NotCancelled,
    Unread,
    Way,
    Withdrawn,
)
from gateway.sync.jobs.reader import Failing, Found, Refused
from gateway.upstream.messages.messages import UpstreamResponse
from tests.support.theeye import JOB_ID, SERVER, finished, job, reply

if TYPE_CHECKING:
    from gateway.sync.jobs.reader import Read

pytestmark = pytest.mark.virtual_time

DONE = UpstreamResponse(204, b"No Content", (), b"")


def found(content: bytes) -> Found:
    read = parse_job(content)
    assert read is not None
    return Found(read, (SERVER,))


class Orchestrated:
    """A job that ends when it is cancelled, and what was asked of it."""

    def __init__(self, read: Read | None = None, reply: UpstreamResponse = DONE) -> None:
        self.said = read or found(job())
        self.reply = reply
        self.failure: Exception | None = None
        self.unreadable: GatewayError | None = None
        self.is_withdrawn = False
        self.asked: list[str] = []
        self.hints: list[str] = []
        self.canceller = Canceller(self.hints.append)

    def way(self, job_id: str = JOB_ID) -> Way:
        return Way(job_id, self.read, self.send)

    async def read(self) -> Read:
        self.asked.append("read")
        await asyncio.sleep(0.1)
        if self.unreadable is not None:
            raise self.unreadable
        return self.said

    async def send(self) -> UpstreamResponse | None:
        if self.is_withdrawn:
            return None
        self.asked.append("send")
        await asyncio.sleep(0.1)
        if self.failure is not None:
            raise self.failure
        if self.reply is DONE:
            self.said = found(finished(state="canceled"))
        return self.reply

    @property
    def counts(self) -> dict[tuple[CancelReason, CancelVerdict], int]:
        return dict(self.canceller.stats())


async def test_job_that_goes_on_is_cancelled_and_all_who_wait_are_told() -> None:
    upstream = Orchestrated()
    ending = await upstream.canceller.cancel(upstream.way(), CancelReason.REQUEST)
    assert isinstance(ending, Cancelled)
    assert (ending.job.state, ending.fields) == ("in_progress", (SERVER,))
    assert upstream.asked == ["read", "send"]
    assert upstream.hints == [JOB_ID]
    assert upstream.counts == {(CancelReason.REQUEST, CancelVerdict.CANCELLED): 1}


async def test_job_that_has_ended_is_left_alone() -> None:
    upstream = Orchestrated(found(finished()))
    ending = await upstream.canceller.cancel(upstream.way(), CancelReason.TIMEOUT)
    assert isinstance(ending, HasEnded)
    assert ending.job.state == "success"
    assert (upstream.asked, upstream.hints) == (["read"], [])
    assert upstream.counts == {(CancelReason.TIMEOUT, CancelVerdict.ENDED): 1}


async def test_job_that_the_client_may_not_see_is_left_alone() -> None:
    refused = Refused(Response(404, b'"job not found"'), is_ours=True)
    upstream = Orchestrated(refused)
    assert await upstream.canceller.cancel(upstream.way(), CancelReason.REQUEST) is refused
    assert upstream.asked == ["read"]
    assert upstream.counts == {(CancelReason.REQUEST, CancelVerdict.REFUSED): 1}


async def test_refusal_to_cancel_is_told_as_it_came_and_nobody_is_woken() -> None:
    upstream = Orchestrated(reply=reply(b'"Forbidden"', 403))
    ending = await upstream.canceller.cancel(upstream.way(), CancelReason.DISCONNECT)
    assert isinstance(ending, NotCancelled)
    assert (ending.response.status, ending.response.content) == (403, b'"Forbidden"')
    assert (upstream.asked, upstream.hints) == (["read", "send"], [])
    assert upstream.counts == {(CancelReason.DISCONNECT, CancelVerdict.REFUSED): 1}


@pytest.mark.parametrize("failure", [None, MemoryFull()])
async def test_nothing_is_sent_while_the_upstream_does_not_tell_of_the_job(
    failure: GatewayError | None,
) -> None:
    upstream = Orchestrated(Failing())
    upstream.unreadable = failure
    ending = await upstream.canceller.cancel(upstream.way(), CancelReason.REQUEST)
    assert isinstance(ending, Unread)
    assert isinstance(ending.failure, BadGateway if failure is None else MemoryFull)
    assert upstream.asked == ["read"]
    assert upstream.counts == {(CancelReason.REQUEST, CancelVerdict.FAILED): 1}


async def test_cancellation_can_be_withdrawn_once_the_job_was_read() -> None:
    upstream = Orchestrated()
    upstream.is_withdrawn = True
    assert await upstream.canceller.cancel(upstream.way(), CancelReason.DISCONNECT) == Withdrawn()
    assert (upstream.asked, upstream.hints) == (["read"], [])
    assert upstream.counts == {(CancelReason.DISCONNECT, CancelVerdict.WITHDRAWN): 1}


async def test_request_without_an_answer_is_not_sent_again() -> None:
    upstream = Orchestrated()
    upstream.failure = GatewayTimeout()
    with pytest.raises(GatewayTimeout):
        await upstream.canceller.cancel(upstream.way(), CancelReason.REQUEST)
    assert (upstream.asked, upstream.hints) == (["read", "send"], [])
    assert upstream.counts == {(CancelReason.REQUEST, CancelVerdict.FAILED): 1}


async def test_many_who_cancel_one_job_at_once_send_one_request() -> None:
    upstream = Orchestrated()
    cancelling = [
        upstream.canceller.cancel(upstream.way(way), CancelReason.REQUEST)
        for way in [JOB_ID, JOB_ID.upper()] * 5
    ]
    endings = await asyncio.gather(*cancelling)
    assert [type(ending) for ending in endings] == [Cancelled, *[HasEnded] * 9]
    assert upstream.asked.count("send") == 1


async def test_jobs_are_cancelled_side_by_side() -> None:
    upstream = Orchestrated(reply=reply(b"", 200))
    loop = asyncio.get_running_loop()
    began = loop.time()
    ways = [upstream.way(f"{number:024x}") for number in range(100)]
    await asyncio.gather(*[upstream.canceller.cancel(way, CancelReason.REQUEST) for way in ways])
    assert loop.time() - began == pytest.approx(0.2)
    assert upstream.asked.count("send") == 100


async def test_client_that_leaves_does_not_stop_it() -> None:
    upstream = Orchestrated()
    task = asyncio.ensure_future(upstream.canceller.cancel(upstream.way(), CancelReason.REQUEST))  # noqa: TID251 - cut on purpose
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.sleep(1)
    assert upstream.counts == {(CancelReason.REQUEST, CancelVerdict.CANCELLED): 1}


async def test_what_was_begun_ends_before_the_process_does() -> None:
    upstream = Orchestrated()
    task = asyncio.ensure_future(upstream.canceller.cancel(upstream.way(), CancelReason.REQUEST))  # noqa: TID251 - ends with the test
    await asyncio.sleep(0.05)
    await upstream.canceller.aclose(5.0)
    assert isinstance(await task, Cancelled)
