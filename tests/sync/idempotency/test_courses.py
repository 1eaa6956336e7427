"""A key makes one job in any course of events: clients leave, replies are lost, a gateway dies."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import SyncConfig
from gateway.errors import BadGateway, GatewayError, Overloaded
from gateway.protocols.theeye.job import parse_job
from gateway.protocols.theeye.routes import CreateRoute
from gateway.sync.idempotency.creations import KeyedCreations
from gateway.sync.jobs.reader import Found
from gateway.sync.keys.memory_keys import MemoryKeys
from tests.support.theeye import exchange, job, reply
from tests.support.virtual_time import now, run

if TYPE_CHECKING:
    from gateway.admission.identity.identities import Identity
    from gateway.downstream.exchange import Exchange
    from gateway.protocols.theeye.job import Job
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.reader import Read
    from gateway.upstream.messages.messages import UpstreamResponse


def request() -> Exchange:
    return exchange("POST", "/task/1/job", (b"Authorization", b"Bearer t1"))


def job_of(response: UpstreamResponse) -> Job | None:
    return parse_job(response.content)


async def unread(access: JobAccess, _identity: Identity) -> Read:
    """The job is still there."""
    found = parse_job(job(id=access.job_id))
    assert found is not None
    return Found(found, ())


class Fate(StrEnum):
    """What becomes of a request that is sent upstream."""

    MADE = "made"
    LOST = "made, and the reply is lost"
    BROKEN = "made, and answered 500"
    REFUSED = "refused with 400"
    UNSENT = "never sent"


class Fated:
    """An upstream that makes jobs, all different, as fate has it; then always."""

    def __init__(self, fates: list[tuple[Fate, float]]) -> None:
        self._fates = fates
        self.jobs: list[bytes] = []

    def sending(self) -> FatedSend:
        return FatedSend(self)

    def next(self) -> tuple[Fate, float]:
        return self._fates.pop(0) if self._fates else (Fate.MADE, 0.0)


class FatedSend:
    def __init__(self, upstream: Fated) -> None:
        self._upstream = upstream
        self.was_sent = False

    async def reply(self) -> UpstreamResponse:
        fate, seconds = self._upstream.next()
        if fate is Fate.UNSENT:
            await asyncio.sleep(seconds)
            raise Overloaded
        self.was_sent = True
        made = job(id=f"{len(self._upstream.jobs):024x}")
        if fate is not Fate.REFUSED:
            self._upstream.jobs.append(made)
        await asyncio.sleep(seconds)
        if fate is Fate.REFUSED:
            return reply(b'"no"', 400)
        if fate is Fate.LOST:
            raise BadGateway
        return reply(made, 500 if fate is Fate.BROKEN else 200)


SECONDS = st.sampled_from([0.0, 0.01, 1.0, 8.0, 20.0])
POSTS = st.tuples(SECONDS, st.integers(0, 1), SECONDS)
"""When each is sent, to which gateway, and for how long its client waits."""


@settings(max_examples=300)
@given(
    st.lists(POSTS, min_size=1, max_size=12),
    st.lists(st.tuples(st.sampled_from(Fate), SECONDS), max_size=6),
    st.none() | SECONDS,
)
def test_no_course_of_events_makes_two_jobs(
    posts: list[tuple[float, int, float]],
    fates: list[tuple[Fate, float]],
    dies_after: float | None,
) -> None:
    """Whoever gets a job gets the same one, however clients leave, replies are lost and a gateway
    is killed."""

    async def course() -> None:
        store, upstream = MemoryKeys(now, SyncConfig()), Fated(fates)
        gateways = [KeyedCreations(store, unread, job_of, now) for _ in range(2)]
        given: list[bytes] = []

        async def post(after: float, at: int, patience: float) -> None:
            await asyncio.sleep(after)
            with suppress(GatewayError, TimeoutError):
                async with asyncio.timeout(patience):
                    made = await gateways[at].make(
                        request(), CreateRoute(), "k", b"[1]", upstream.sending()
                    )
                    given.append(made.reply.content)

        posting = [asyncio.get_running_loop().create_task(post(*each)) for each in posts]
        if dies_after is not None:
            await asyncio.sleep(dies_after)
            await gateways[0].aclose(0)
        for ended in await asyncio.gather(*posting, return_exceptions=True):
            assert ended is None or isinstance(ended, asyncio.CancelledError)
        await asyncio.gather(*(gateway.aclose(100) for gateway in gateways))
        assert len(upstream.jobs) <= 1
        assert {content for content in given if content != b'"no"'} <= set(upstream.jobs)

    run(course())
