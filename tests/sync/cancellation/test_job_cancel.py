"""A task's job is cancelled with the client's own token, as TheEye is asked for it."""

from __future__ import annotations

import pytest

from gateway.sync.cancellation.job_cancel import JobCancels, cancel_target
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.reader import Failing, Read
from gateway.upstream.messages.messages import Purpose
from tests.support.theeye import JOB_ID, TheEye, reply
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time

BEARER = (b"authorization", b"Bearer t")


@pytest.mark.parametrize(
    ("customer", "query", "target"),
    [
        ("acme", "", f"/acme/job/{JOB_ID}/cancel"),
        ("acme", "access_token=t", f"/acme/job/{JOB_ID}/cancel?access_token=t"),
        ("a/b?c", "", f"/a%2Fb%3Fc/job/{JOB_ID}/cancel"),
    ],
)
async def test_target_has_the_organization_and_the_token_as_it_came(
    customer: str, query: str, target: str
) -> None:
    assert cancel_target(JobAccess(JOB_ID, customer, Credentials(query, ()))) == target


async def test_request_is_the_clients_own_and_has_no_content() -> None:
    upstream = TheEye(reply(b"", 204), latency_seconds=0.5)
    reads: list[tuple[JobAccess, bytes | None]] = []

    async def read(access: JobAccess, holder: bytes | None) -> Read:
        reads.append((access, holder))
        return Failing()

    access = JobAccess(JOB_ID, "acme", Credentials("", (BEARER,)), b"https://app.example.test")
    way = JobCancels(upstream, read).way(access, b"holder")
    assert await way.read() == Failing()
    assert reads == [(access, b"holder")]
    assert await way.send() == upstream.first
    (asked,) = upstream.asked
    assert (asked.at, asked.method, asked.purpose) == (now() - 0.5, "PUT", Purpose.CANCEL)
    assert asked.fields == [
        (b"Accept", b"application/json"),
        BEARER,
        (b"Origin", b"https://app.example.test"),
        (b"Content-Length", b"0"),
    ]
    assert (way.job_id, access.heard.status, access.heard.seconds) == (JOB_ID, 204, 0.5)
