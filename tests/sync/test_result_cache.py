from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.identity.identities import Identity
from gateway.config import SyncConfig
from gateway.errors import BadGateway
from gateway.protocols.theeye.job import parse_job
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.reader import Found, Read, Refused
from gateway.sync.result_cache import OVERHEAD_BYTES, SHARE, Results, holder, size
from gateway.upstream.messages.messages import UpstreamResponse
from tests.support.theeye import ALLOW_ORIGIN, JOB_ID, SERVER, TheEye, finished, job, reader, reply
from tests.support.virtual_time import now, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.virtual_time

GONE = reply(b'"job not found"', 404)
ONE, OTHER = b"1" * 16, b"2" * 16
KIB = 1024


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
        self.results = Results(read_before(self.upstream), now, SyncConfig(**config))

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
    kept = Kept(result_cache_seconds=60)
    await kept.read()
    await asyncio.sleep(40)
    await kept.read()
    await asyncio.sleep(59)
    assert isinstance(await kept.read_while(GONE), Found)
    await asyncio.sleep(2)
    assert isinstance(await kept.read(), Refused)


async def test_nothing_is_kept_where_that_is_switched_off() -> None:
    kept = Kept(result_cache_seconds=0)
    await kept.read(has_ended=True)
    assert isinstance(await kept.read_while(GONE), Refused)
    assert len(kept.results._kept) == 0
    assert len(kept.results._tasks) == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40 * KIB)), max_size=40))
def test_results_never_take_more_than_their_bytes(jobs: list[tuple[int, int]]) -> None:
    async def scenario() -> None:
        kept = Kept(result_cache_bytes=100 * KIB)
        for number, length in jobs:
            job_id = f"{number:024x}"
            kept.upstream.says(reply(finished(id=job_id, output=["x" * length])))
            await kept.read(read=access(job_id))
            held = list(kept.results._kept.values())
            assert sum(map(size, held)) == kept.results._kept.currsize <= 100 * KIB
            assert all(size(one) <= 100 * KIB / SHARE for one in held)

    run(scenario())


async def test_oldest_results_make_room_for_new_ones() -> None:
    kept = Kept(result_cache_bytes=100 * KIB)
    for number in range(60):
        job_id = f"{number:024x}"
        kept.upstream.says(reply(finished(id=job_id, output=["x" * 3 * KIB])))
        await kept.read(read=access(job_id))
    assert isinstance(await kept.read_while(GONE, read=access(f"{59:024x}")), Found)
    assert isinstance(await kept.read_while(GONE, read=access(f"{0:024x}")), Refused)


def test_size_counts_the_content_and_a_copy_of_it_where_there_is_one() -> None:
    plain = parse_job(finished(result={"a": "b" * 1000}))
    surrogates = parse_job(finished(result={"a": "b" * 1000, "c": "\ud800"}))
    assert plain is not None
    assert surrogates is not None
    assert size(plain) == OVERHEAD_BYTES + len(plain.raw)
    assert size(surrogates) == OVERHEAD_BYTES + 2 * len(surrogates.raw)


async def test_last_read_goes_on_when_the_client_leaves_and_its_result_is_kept() -> None:
    kept = Kept()
    kept.upstream.latency_seconds = 2
    for has_ended in (False, True):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await kept.read(has_ended=has_ended)
        await asyncio.sleep(2)
        assert len(kept.results._tasks) == 0
        assert len(kept.results._kept) == has_ended
    assert isinstance(await kept.read_while(GONE), Found)


async def test_last_read_that_fails_for_a_client_that_left_is_nobodys_concern(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(_: JobAccess, _output_only: bool) -> Read:
        await asyncio.sleep(2)
        raise BadGateway("too large")

    results = Results(fail, now, SyncConfig())
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


def whoever(key: bytes, token_hash: bytes | None) -> Identity:
    return Identity(key, "acme", "", "", token_hash, is_verified=True)


def test_holder_of_a_token_is_known_by_its_hash_however_requests_are_counted() -> None:
    assert holder(access(), whoever(OTHER, ONE)) == ONE


def test_client_without_a_token_is_no_holder() -> None:
    assert holder(access(), whoever(OTHER, None)) is None


def test_holder_of_a_secret_is_known_by_its_hash_and_is_no_holder_of_a_token() -> None:
    by_secret = [
        JobAccess(JOB_ID, "", Credentials("", ()), secret=secret) for secret in ("a", "a", "b")
    ]
    first, same, other = (holder(read, whoever(OTHER, ONE)) for read in by_secret)
    assert first == same != other
    assert first != ONE
