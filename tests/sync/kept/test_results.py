from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import SyncConfig
from gateway.errors import BadGateway
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.reader import Found, Read, Refused
from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.results import Results
from gateway.upstream.messages.messages import UpstreamResponse
from tests.support.theeye import (
    ALLOW_ORIGIN,
    JOB_ID,
    SERVER,
    TheEye,
    finished,
    identity_of,
    job,
    reader,
    reply,
)
from tests.support.virtual_time import now, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.virtual_time

GONE = reply(b'"job not found"', 404)
ONE, OTHER = b"1" * 16, b"2" * 16


def access(job_id: str = JOB_ID, customer: str = "acme", origin: bytes | None = None) -> JobAccess:
    return JobAccess(job_id, customer, Credentials("access_token=t", ()), origin)


class Upstream(TheEye):
    """Says what it is told to."""

    def says(self, response: UpstreamResponse | None) -> None:
        self.first = response


def read_before(upstream: TheEye) -> Callable[[JobAccess, bool], Awaitable[Read]]:
    """How clients read jobs of the upstream."""
    return reader(upstream, 100_000_000).read


class Kept:
    """Results before an upstream."""

    def __init__(self, **config: Any) -> None:
        self.upstream = Upstream(reply(finished()))
        self.store = MemoryResults(now, SyncConfig(**config))
        self.results = Results(read_before(self.upstream), self.store)

    async def read(
        self, by: bytes | None = ONE, read: JobAccess | None = None, *, has_ended: bool = False
    ) -> Read:
        return await self.results.read(read or access(), by, has_ended=has_ended, output_only=False)

    async def read_while(
        self,
        response: UpstreamResponse | None,
        by: bytes | None = ONE,
        read: JobAccess | None = None,
    ) -> Read:
        self.upstream.says(response)
        return await self.read(by, read)


@pytest.mark.parametrize("has_ended", [True, False])
async def test_result_is_there_for_its_reader_after_the_upstream_has_removed_it(
    has_ended: bool,
) -> None:
    kept = Kept()
    first = await kept.read(has_ended=has_ended)
    assert isinstance(first, Found)
    assert await kept.read_while(GONE) == Found(first.job, (SERVER, ALLOW_ORIGIN))
    assert await kept.read_while(GONE, read=access(JOB_ID.upper())) == await kept.read()
    assert len(kept.upstream.asked) == 4, "the upstream is asked each time"


async def test_client_is_given_what_was_kept_for_it_and_nobody_else_is() -> None:
    kept = Kept()
    mine, others = identity_of("acme"), replace(identity_of("acme"), token_hash=OTHER)
    first = await kept.results.of_client(access(), mine)
    kept.upstream.says(GONE)
    assert isinstance(first, Found)
    assert await kept.results.of_client(access(), mine) == first
    assert isinstance(await kept.results.of_client(access(), others), Refused)


@pytest.mark.parametrize(
    ("by", "read"),
    [
        (OTHER, access()),
        (None, access()),
        (ONE, access("0" * 24)),
        (ONE, access(customer="globex")),
    ],
    ids=["another token", "no token", "another job", "another organization"],
)
async def test_result_is_for_nobody_and_nothing_else(by: bytes | None, read: JobAccess) -> None:
    kept = Kept()
    await kept.read()
    found = await kept.read_while(GONE, by, read)
    assert isinstance(found, Refused)
    assert found.response.status == 404


@pytest.mark.parametrize(
    "refusal",
    [
        reply(b'"Unauthorized"', 401),
        reply(b'"forbidden"', 403),
        reply(b'"Session conflict"', 409),
        reply(b'"organization not found"', 404),
        reply(b'{"code":"ResourceNotFound"}', 404),
        reply(finished(customer_name="globex")),
        None,
        reply(b'"Internal Server Error"', 500),
    ],
)
async def test_result_stands_in_only_where_the_upstream_says_that_the_job_is_gone(
    refusal: UpstreamResponse | None,
) -> None:
    kept = Kept()
    await kept.read()
    assert not isinstance(await kept.read_while(refusal), Found)
    assert isinstance(await kept.read_while(GONE), Found)


async def test_job_that_runs_is_not_kept() -> None:
    kept = Kept()
    await kept.read_while(reply(job()))
    assert isinstance(await kept.read_while(GONE), Refused)


async def test_result_is_kept_for_its_time_after_it_was_last_read_and_no_longer() -> None:
    kept = Kept(result_seconds=60)
    await kept.read()
    await asyncio.sleep(40)
    await kept.read()
    await asyncio.sleep(59)
    assert isinstance(await kept.read_while(GONE), Found)
    await asyncio.sleep(2)
    assert isinstance(await kept.read(), Refused)


async def test_nothing_is_kept_where_that_is_switched_off() -> None:
    upstream = Upstream(reply(finished()))
    results = Results(read_before(upstream), None)
    await results.read(access(), ONE, has_ended=True, output_only=False)
    upstream.says(GONE)
    again = await results.read(access(), ONE, has_ended=True, output_only=False)
    assert isinstance(again, Refused)
    assert len(results._tasks) == 0


HOLDERS = [None, ONE, OTHER]
READERS = st.tuples(
    st.sampled_from(HOLDERS), st.sampled_from(["acme", "globex"]), st.sampled_from(["0", "1"])
)


@given(st.lists(READERS, max_size=6), READERS)
def test_nobody_is_given_what_was_kept_for_another(
    readers: list[tuple[bytes | None, str, str]], asker: tuple[bytes | None, str, str]
) -> None:
    def access_of(reader: tuple[bytes | None, str, str]) -> JobAccess:
        return access(reader[2] * 24, reader[1])

    async def scenario() -> None:
        kept = Kept()
        for one in readers:
            said = finished(id=one[2] * 24, customer_name=one[1], output=[repr(one)])
            await kept.read_while(reply(said), one[0], access_of(one))
        found = await kept.read_while(GONE, asker[0], access_of(asker))
        if asker in readers and asker[0] is not None:
            assert isinstance(found, Found)
            assert repr(asker).encode() in found.job.raw
        else:
            assert isinstance(found, Refused)

    run(scenario())


async def test_last_read_goes_on_when_the_client_leaves_and_its_result_is_kept() -> None:
    kept = Kept()
    kept.upstream.latency_seconds = 2
    for has_ended in (False, True):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await kept.read(has_ended=has_ended)
        await asyncio.sleep(2)
        assert len(kept.results._tasks) == 0
        assert kept.store.stats().entries == has_ended
    assert isinstance(await kept.read_while(GONE), Found)


async def test_last_read_that_fails_for_a_client_that_left_is_nobodys_concern(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(_: JobAccess, _output_only: bool) -> Read:
        await asyncio.sleep(2)
        raise BadGateway("too large")

    results = Results(fail, MemoryResults(now, SyncConfig()))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await results.read(access(), ONE, has_ended=True, output_only=False)
    await asyncio.sleep(2)
    assert len(results._tasks) == 0
    with pytest.raises(BadGateway):
        await results.read(access(), ONE, has_ended=True, output_only=False)
    assert caplog.text == ""


async def test_closing_ends_the_reads_that_go_on() -> None:
    kept = Kept()
    kept.upstream.latency_seconds = 60
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await kept.read(has_ended=True)
    assert len(kept.results._tasks) == 1
    await kept.results.aclose()
    assert len(kept.results._tasks) == 0
    assert now() == 1
