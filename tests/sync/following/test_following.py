from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config import SyncConfig
from gateway.errors import BadGateway, MemoryFull, Response, ResponseTooLarge
from gateway.protocols.theeye.job import parse_job
from gateway.sync.following.following import MAX_CREDENTIALS_BYTES, Following
from gateway.sync.following.leaver import Leaver
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.jobs.reader import Found, Read, Refused
from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.result_key import key_of
from gateway.sync.kept.results import Results
from gateway.sync.looks.lessons import Lessons
from gateway.sync.watch.poll_requests import POLL_SECONDS
from gateway.sync.watch.state import LastSeen
from tests.support.theeye import JOB_ID, finished, job
from tests.support.virtual_time import now
from tests.support.watched import Watched, is_empty, job_ids

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.virtual_time

HOLDER = b"h" * 16
FOR_EVER = float("inf")


def leaver(
    job_id: str = JOB_ID,
    by: str = "t",
    holder: bytes | None = HOLDER,
    customer: str = "acme",
) -> Leaver:
    token, origin = Credentials(by, ()), b"https://app.example"
    return Leaver(
        JobAccess(job_id, customer, token, origin, client=by.encode()), holder, output_only=False
    )


class Left:
    """Following before an upstream whose jobs end as ``ends`` says."""

    def __init__(self, ends: dict[str, float] | float = FOR_EVER, **config: Any) -> None:
        self.watched = Watched({JOB_ID: ends} if isinstance(ends, float | int) else ends)
        settings = SyncConfig(**config)
        self.watcher = self.watched.watcher()
        self.says: Callable[[JobAccess], Read | Exception | None] = lambda _: None
        self.reads: list[tuple[float, JobAccess, bool]] = []
        self.read_seconds = 0.0
        self.store = MemoryResults(now, settings)
        results = Results(self._read, self.store)
        self.told: list[tuple[str, float]] = []
        lessons = Lessons(self.watcher.learn, lambda *end: self.told.append(end))
        self.following = Following(self.watcher, results, lessons, now, settings)

    async def _read(self, access: JobAccess, output_only: bool) -> Read:
        self.reads.append((now(), access, output_only))
        await asyncio.sleep(self.read_seconds)
        said = self.says(access)
        if isinstance(said, Exception):
            raise said
        if said is not None:
            return said
        has_ended = self.watched.ends[access.job_id] <= now()
        written = finished if has_ended else job
        read = parse_job(written(id=access.job_id, customer_name=access.customer))
        assert read is not None
        return Found(read, ())

    def follow(self, one: Leaver | None = None) -> None:
        self.following.follow(one or leaver(), LastSeen(now()))

    def is_kept(self, one: Leaver | None = None) -> bool:
        one = one or leaver()
        return self.store.has(key_of(one.access, one.holder or b""))

    async def is_over(self) -> bool:
        """Nothing is left of it."""
        await asyncio.sleep(POLL_SECONDS)
        following = self.following
        return (
            not len(following)
            and not len(following._places)
            and not following._attended
            and not len(following._tasks)
            and not len(following._turns)
            and is_empty(self.watcher)
        )


async def test_job_is_read_with_its_clients_credentials_once_it_has_ended() -> None:
    left = Left(20)
    left.follow()
    await asyncio.sleep(30)
    ((at, access, output_only),) = left.reads
    assert 20 <= at < 23
    assert access == replace(leaver().access, origin=None)
    assert not output_only
    assert left.is_kept()
    assert [job_id for job_id, _ in left.told] == [JOB_ID]
    assert await left.is_over()


async def test_client_that_takes_the_output_alone_has_the_output_kept() -> None:
    left = Left(5)
    left.follow(replace(leaver(), output_only=True))
    await asyncio.sleep(10)
    assert left.reads[0][2]


async def test_nothing_is_asked_until_the_client_might_have_come_again() -> None:
    left = Left(0.0)
    left.follow()
    await asyncio.sleep(0.99)
    assert not left.watched.requests
    with left.following.attend(leaver()):
        await asyncio.sleep(10)
        assert not left.watched.requests
    assert await left.is_over()
    assert not left.reads


async def test_job_is_followed_from_when_the_last_request_for_it_ends() -> None:
    left = Left(20)
    with left.following.attend(leaver(), 7.0):
        with left.following.attend(leaver()) as other:
            other.last_seen = LastSeen(now())
        left.follow()
        await asyncio.sleep(5)
        assert not left.watched.requests
    await asyncio.sleep(20)
    assert not left.reads, "the last one knew that the job is over"
    with left.following.attend(leaver()) as last:
        last.last_seen = LastSeen(now())
    await asyncio.sleep(20)
    assert left.is_kept()


async def test_client_that_is_cancelled_in_the_middle_has_left() -> None:
    left = Left(20)

    async def wait() -> None:
        with left.following.attend(leaver()) as attendance:
            attendance.last_seen = LastSeen(now())
            await asyncio.sleep(100)

    waiting = asyncio.get_running_loop().create_task(wait())
    await asyncio.sleep(3)
    assert len(left.following) == 0
    waiting.cancel()
    await asyncio.sleep(0.1)
    assert len(left.following) == 1
    await asyncio.sleep(20)
    assert left.is_kept()


async def test_client_that_comes_again_ends_the_following() -> None:
    left = Left(FOR_EVER)
    left.follow()
    await asyncio.sleep(10)
    with left.following.attend(leaver()):
        assert len(left.following) == 0
        assert await left.is_over() is False
        assert is_empty(left.watcher)
    assert await left.is_over()


async def test_polls_go_by_the_time_since_the_job_was_first_waited_for() -> None:
    """Or else who looks at a job again and again would have it polled like a new one."""
    left = Left(FOR_EVER)
    for _ in range(20):
        left.follow()
        await asyncio.sleep(30)
    with left.following.attend(leaver()) as attendance:
        attendance.last_seen = LastSeen(now())
    before = len(left.watched.requests)
    await asyncio.sleep(30)
    assert len(left.watched.requests) - before <= 7
    await left.following.aclose()


async def test_job_that_nobody_waits_for_is_polled_once_a_second_at_most() -> None:
    left = Left(FOR_EVER)
    left.follow()
    await asyncio.sleep(6)
    assert len(left.watched.requests) <= 5
    await left.following.aclose()


async def test_result_that_is_there_already_is_not_read_again() -> None:
    left = Left(0.0)
    read = parse_job(finished())
    assert read is not None
    left.follow()
    await asyncio.sleep(0.5)
    left.store.keep(key_of(leaver().access, HOLDER), read)
    assert await left.is_over()
    assert not left.watched.requests
    assert not left.reads


async def test_job_is_given_up_when_its_time_is_over() -> None:
    left = Left(FOR_EVER, follow_seconds=60.0)
    left.follow()
    await asyncio.sleep(59.5)
    assert len(left.following) == 1
    await asyncio.sleep(1)
    assert await left.is_over()
    assert not left.reads


@pytest.mark.parametrize(
    ("config", "one"),
    [
        ({"follow_seconds": 0.0}, leaver()),
        ({"result_store": "off"}, leaver()),
        ({}, leaver(holder=None)),
        ({}, leaver(by="t" * (MAX_CREDENTIALS_BYTES + 1))),
    ],
)
async def test_nothing_is_followed_where_nothing_is_to_be_kept(
    config: dict[str, Any], one: Leaver
) -> None:
    left = Left(0.0, **config)
    with left.following.attend(one) as attendance:
        attendance.last_seen = LastSeen(now())
    left.follow(one)
    assert await left.is_over()
    assert not left.watched.requests


@pytest.mark.parametrize(
    "failure",
    [BadGateway("no"), MemoryFull("no"), Found(parse_job(job()), ())],  # type: ignore[arg-type]
)
async def test_read_that_says_nothing_is_repeated_with_growing_gaps(
    failure: Exception | Found,
) -> None:
    left = Left(5)
    left.says = lambda _: failure if now() < 60 else None
    left.follow()
    await asyncio.sleep(70)
    assert left.is_kept()
    assert len(left.reads) < 22
    assert await left.is_over()


@pytest.mark.parametrize(
    "said",
    [
        ResponseTooLarge(),
        Refused(Response(404, b'"job not found"'), is_gone=True),
        Refused(Response(403, b'"forbidden"')),
    ],
)
async def test_job_that_cannot_be_had_is_read_once(said: Read | Exception) -> None:
    left = Left(5)
    left.says = lambda _: said
    left.follow()
    await asyncio.sleep(20)
    assert len(left.reads) == 1
    assert await left.is_over()


async def test_credentials_that_are_refused_are_used_no_more() -> None:
    jobs = job_ids(50)
    left = Left(dict.fromkeys(jobs, FOR_EVER) | {JOB_ID: FOR_EVER})
    left.watched.says = lambda one: (
        PollOutcome.REFUSED if one.credentials.query == "revoked" else None
    )
    left.read_seconds = 0.1
    left.says = lambda _: Refused(Response(401, b'"Unauthorized"'))
    for one in jobs:
        left.follow(leaver(one, "revoked"))
    left.follow()
    await asyncio.sleep(10)
    assert len(left.reads) == 1
    assert len(left.following) == 1
    await left.following.aclose()
    assert await left.is_over()


async def test_drained_process_follows_nothing() -> None:
    left = Left(20)
    left.follow()
    await asyncio.sleep(5)
    left.watcher.drain()
    await asyncio.sleep(0)
    left.follow()
    assert await left.is_over()
    assert not left.reads


async def test_thousand_jobs_that_one_client_leaves_cost_what_one_list_does() -> None:
    jobs = job_ids(1000)
    left = Left(dict.fromkeys(jobs, FOR_EVER))
    for one in jobs:
        left.follow(leaver(one))
    assert len(left.following) == 200
    await asyncio.sleep(60)
    assert {one.jobs[-1] for one in left.watched.requests} <= set(jobs[800:])
    # One after the other, a second apart while the jobs are young.
    assert len(left.watched.requests) < 60
    await left.following.aclose()
    assert await left.is_over()


async def test_client_that_leaves_many_drives_out_nobody_elses() -> None:
    jobs = job_ids(100)
    left = Left(dict.fromkeys(jobs, 30.0) | {JOB_ID: 30.0}, follow_jobs=8)
    mine = leaver(by="mine", customer="globex")
    left.follow(mine)
    for number, one in enumerate(jobs):
        left.follow(leaver(one, f"t{number % 20}"))
    assert len(left.following) == 8
    await asyncio.sleep(60)
    assert left.is_kept(mine)
    assert await left.is_over()


async def test_what_is_left_counts_among_no_clients_that_wait() -> None:
    left = Left(5)
    left.follow()
    await asyncio.sleep(3)
    stats = left.watcher.stats()
    assert (stats.watches, stats.waiters) == (1, 0)
    await asyncio.sleep(10)
    assert not any(left.watcher.stats().verdicts.values())


async def test_credentials_are_in_memory_no_longer_than_the_job_is_followed() -> None:
    left = Left(5)
    left.follow(leaver(by="secret"))
    assert "secret" not in repr(left.following._followed)
    await asyncio.sleep(20)
    assert json.dumps([str(key) for key in left.following._followed]) == "[]"
    assert await left.is_over()
