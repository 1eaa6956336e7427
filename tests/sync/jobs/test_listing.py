import json
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.listing import (
    MAX_JOBS,
    MAX_REQUEST_BYTES,
    Listing,
    Unlisted,
    capacity,
    list_target,
    understood,
)
from gateway.sync.jobs.outcome import PollOutcome
from tests.support.theeye import JOB_ID, LOOKUP_FAILED, finished, job
from tests.support.watched import access, job_ids


def test_jobs_are_asked_for_with_the_credentials_as_they_came() -> None:
    first, second = (access("access_token=t%2Bx", job_id, "a/b ñ") for job_id in (JOB_ID, "0" * 24))
    target = list_target([first, second], only_ended=False)
    path, _, query = target.partition("?")
    assert path == "/a%2Fb%20%C3%B1/job"
    assert query.startswith("access_token=t%2Bx&where%5B_id%5D%5B%24in%5D%5B%5D=")
    ids = "where[_id][$in][]"
    assert parse_qsl(query)[1:] == [(ids, JOB_ID), (ids, "0" * 24)]
    assert (
        unquote(list_target([access("")], only_ended=False))
        == f"/acme/job?where[_id][$in][]={JOB_ID}"
    )


def test_list_of_ended_jobs_names_every_lifecycle_that_is_one() -> None:
    target = list_target([access("")], only_ended=True)
    asked = parse_qsl(target.partition("?")[2])
    assert asked[0] == ("where[_id][$in][]", JOB_ID)
    assert {key for key, _ in asked[1:]} == {"where[lifecycle][$in][]"}
    ends = {"finished", "terminated", "canceled", "expired", "completed"}
    assert {value for _, value in asked[1:]} == ends


@given(st.integers(0, 16_000), st.integers(0, 16_000), st.text(max_size=255))
def test_request_stays_below_what_the_upstream_takes(
    in_query: int, in_field: int, customer: str
) -> None:
    fields = ((b"Authorization", b"x" * in_field),)
    asker = Credentials("t" * in_query, fields)
    most = capacity(JobAccess(JOB_ID, customer, asker))
    assert 1 <= most <= MAX_JOBS
    target = list_target(
        [JobAccess(one, customer, asker) for one in job_ids(most)], only_ended=True
    )
    if most > 1:
        assert len(target) + in_field < MAX_REQUEST_BYTES


def test_ordinary_token_lets_two_hundred_jobs_share_a_request() -> None:
    fields = ((b"Authorization", b"Bearer " + b"x" * 400),)
    assert capacity(JobAccess(JOB_ID, "acme", Credentials("", fields))) == 200


RUNNING, ENDED = {JOB_ID: PollOutcome.RUNNING}, {JOB_ID: PollOutcome.CHANGED}


@pytest.mark.parametrize(
    ("status", "content", "listing"),
    [
        (200, b"[%b]" % job(), RUNNING),
        (200, b"[%b]" % job(id=JOB_ID.upper()), RUNNING),
        (200, b"[%b]" % job(lifecycle=None), RUNNING),
        (200, b"[%b]" % job(output=[{"x": 1}] * 100, secret="s"), RUNNING),
        *((200, b"[%b]" % finished(lifecycle=x), ENDED) for x in ("finished", "terminated")),
        (200, b"[]", {}),
        (200, b'[{"lifecycle":"finished"}]', {"": PollOutcome.CHANGED}),
        (200, b"[%b,1]" % job(), Unlisted.TOO_MUCH),
        (200, b" [" * 2000, Unlisted.TOO_MUCH),
        (200, b'{"id":1}', Unlisted.REFUSED),
        (200, b"", Unlisted.REFUSED),
        (401, b'"Unauthorized"', Unlisted.DENIED),
        (400, b'"host is required"', Unlisted.REFUSED),
        (403, b'"forbidden"', Unlisted.REFUSED),
        (404, b"", Unlisted.REFUSED),
        (403, LOOKUP_FAILED, Unlisted.FAILING),
        (404, LOOKUP_FAILED, Unlisted.FAILING),
        (409, b"", Unlisted.REFUSED),
        (413, b"", Unlisted.TOO_MUCH),
        (414, b"", Unlisted.TOO_MUCH),
        (431, b"", Unlisted.TOO_MUCH),
        (500, b'"Internal Server Error"', Unlisted.TOO_MUCH),
        (408, b"", Unlisted.FAILING),
        (429, b"", Unlisted.FAILING),
        (302, b"", Unlisted.FAILING),
        (503, b"", Unlisted.FAILING),
    ],
)
def test_answer_to_a_list_is_understood(status: int, content: bytes, listing: Listing) -> None:
    assert understood(status, content) == listing


def test_list_is_read_with_nothing_but_ids_and_lifecycles() -> None:
    jobs = [json.loads(job(id=one, name="x" * 500)) for one in job_ids(200)]
    assert understood(200, json.dumps(jobs).encode()) == dict.fromkeys(
        job_ids(200), PollOutcome.RUNNING
    )


def test_job_that_is_listed_twice_has_ended_if_it_has_once() -> None:
    twice = b'[{"id":"A","lifecycle":"finished"},{"id":"a","lifecycle":"ready"}]'
    assert understood(200, twice) == {"a": PollOutcome.CHANGED}
