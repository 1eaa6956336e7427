import pytest

from gateway.admission.limits.buffers import Buffers
from gateway.errors import JSON_CONTENT, Field, MemoryFull, Response
from gateway.protocols.http.query import Query
from gateway.protocols.theeye.job import NOT_FOUND
from gateway.sync.jobs.access import job_access, secret_access
from gateway.sync.jobs.listing import Listing, Unlisted
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.jobs.ranges import MAX_RANGE_BYTES, Ended, IdRange, Unranged
from gateway.sync.jobs.reader import (
    AT_ONCE_BYTES,
    Failing,
    Found,
    Read,
    Refused,
    Unfinished,
    passed,
    understood,
)
from gateway.upstream.messages.messages import Purpose, UpstreamResponse
from tests.support.theeye import (
    ALLOW_ORIGIN,
    JOB_ID,
    LOOKUP_FAILED,
    SERVER,
    TheEye,
    finished,
    identity_of,
    job,
    orchestrator,
    reply,
)
from tests.support.virtual_time import now

ACME = identity_of("acme")
NOBODY = identity_of("")
BY_TOKEN = job_access(JOB_ID, Query("access_token=t"), [], ACME, "")
BY_SECRET = secret_access(JOB_ID, "5ec", [], NOBODY)


@pytest.mark.virtual_time
async def test_job_is_read_with_the_clients_credentials_and_origin_and_nothing_else() -> None:
    sent: list[Field] = [
        (b"Host", b"gateway"),
        (b"authorization", b"Bearer t"),
        (b"Cookie", b"c"),
        (b"Origin", b"https://app.example.test"),
    ]

    upstream = TheEye()
    read = await orchestrator(upstream, 10_000).read(job_access(JOB_ID, Query(""), sent, ACME, ""))
    assert isinstance(read, Found)
    assert read.fields == (SERVER, ALLOW_ORIGIN)
    (asked,) = upstream.asked
    assert (asked.method, asked.purpose, asked.content) == ("GET", Purpose.READ, b"")
    assert asked.fields == [(b"Accept", b"application/json"), sent[1], sent[3]]


def kind(read: Read) -> type[Read] | int:
    return read.response.status if isinstance(read, Refused) else type(read)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (reply(job()), Found),
        (reply(job(id=JOB_ID.upper())), Found),
        (reply(job(customer_name="globex")), 404),
        (reply(job(customer_name=None)), 404),
        (reply(b'{"message":"Session conflict"}', 409), 404),
        (reply(b'"job not found"', 404), 404),
        (reply(b'"Unauthorized"', 401), 401),
        (reply(b'"forbidden"', 403), 403),
        (reply(b'"Forbidden"', 403), 403),
        (reply(b'"organization not found"', 404), 404),
        (reply(LOOKUP_FAILED, 401), 401),
        (reply(LOOKUP_FAILED, 403), Failing),
        (reply(LOOKUP_FAILED, 404), Failing),
        (reply(LOOKUP_FAILED, 409), Failing),
        (reply(b"<h1>403 Forbidden</h1>", 403), Failing),
        (reply(b"", 404), Failing),
        (reply(b'"job id is invalid"', 400), 400),
        (reply(b"[]"), Failing),
        (reply(job(id="0" * 24)), Failing),
        (reply(job(), 500), Failing),
        (reply(b"", 302), Failing),
        (reply(b"", 429), Failing),
        (reply(b"", 408), Failing),
        (reply(b"", 503), Failing),
    ],
)
def test_answer_to_a_read_is_understood(
    response: UpstreamResponse, expected: type[Read] | int
) -> None:
    assert kind(understood(response, BY_TOKEN)) == expected


@pytest.mark.parametrize(
    "response", [reply(finished(customer_name="globex")), reply(b'{"stack":"x"}', 409)]
)
def test_job_of_another_organization_is_not_found_and_shows_nothing(
    response: UpstreamResponse,
) -> None:
    refused = understood(response, BY_TOKEN)
    assert isinstance(refused, Refused)
    length = (b"Content-Length", b"%d" % len(NOT_FOUND.content))
    fields = (SERVER, ALLOW_ORIGIN, JSON_CONTENT, length)
    assert refused.response == Response(404, NOT_FOUND.content, fields)


def test_refusal_passes_as_it_is() -> None:
    response = UpstreamResponse(
        401, b"No", [(b"Date", b"x"), (b"Set-Cookie", b"a"), (b"Set-Cookie", b"b")], b"?"
    )
    expected = Response(401, b"?", tuple(response.fields), b"No")
    assert passed(response) == expected
    assert understood(response, BY_TOKEN) == Refused(expected)


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("response", "expected", "poll"),
    [
        (reply(finished()), Found, PollOutcome.CHANGED),
        (reply(finished(state="failure"), 500), Found, PollOutcome.CHANGED),
        (reply(b"{}", 303), Unfinished, PollOutcome.RUNNING),
        (reply(b'"Request Timeout"', 408), Unfinished, PollOutcome.RUNNING),
        (reply(b'"invalid secret"', 403), 403, PollOutcome.REFUSED),
        (reply(b'"job not found"', 404), 404, PollOutcome.CHANGED),
        (reply(b"oops", 500), Failing, PollOutcome.FAILING),
        (None, Failing, PollOutcome.FAILING),
    ],
)
async def test_job_is_read_by_its_secret_from_the_upstreams_own_result(
    response: UpstreamResponse | None, expected: type[Read] | int, poll: PollOutcome
) -> None:
    upstream = TheEye(first=response)
    asked = orchestrator(upstream, 10_000)
    assert kind(await asked.read(BY_SECRET)) == expected
    assert await asked.poll(BY_SECRET) is poll
    assert upstream.asked[0].target == (f"/job/{JOB_ID}/secret/5ec/result?full&counter=0&limit=1")


@pytest.mark.virtual_time
async def test_read_by_secret_does_not_wait_for_the_upstreams_own_hold() -> None:
    asked = orchestrator(TheEye(latency_seconds=10), 10_000)
    assert await asked.read(BY_SECRET) == Unfinished()
    assert now() == 1
    # Nor does a poll: there are few at a time, for all clients together.
    assert await asked.poll(BY_SECRET) is PollOutcome.RUNNING
    assert now() == 2


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("response", "poll"),
    [
        (reply(job()), PollOutcome.RUNNING),
        (reply(finished()), PollOutcome.CHANGED),
        (reply(b"", 401), PollOutcome.REFUSED),
        (reply(b'"job not found"', 404), PollOutcome.CHANGED),
        (reply(LOOKUP_FAILED, 404), PollOutcome.FAILING),
        (reply(b"", 500), PollOutcome.FAILING),
        (reply(b" " * 20_000), PollOutcome.CHANGED),
    ],
)
async def test_poll_says_no_more_than_that_something_changed(
    response: UpstreamResponse, poll: PollOutcome
) -> None:
    assert await orchestrator(TheEye(first=response), 10_000).poll(BY_TOKEN) is poll


def test_secret_is_in_no_repr() -> None:
    assert "5ec" not in repr(BY_SECRET)


async def listed(upstream: TheEye) -> Listing:
    """What one request says of a job and another."""
    other = job_access("0" * 24, Query("access_token=t"), [], ACME, "")
    return await orchestrator(upstream, 10_000_000).poll_many([BY_TOKEN, other], only_ended=False)


@pytest.mark.virtual_time
async def test_jobs_are_polled_together_with_the_first_ones_credentials() -> None:
    upstream = TheEye(reply(b"[%b]" % finished()))
    assert await listed(upstream) == {JOB_ID: PollOutcome.CHANGED}
    (asked,) = upstream.asked
    assert (asked.method, asked.purpose) == ("GET", Purpose.POLL)
    assert asked.target.startswith("/acme/job?access_token=t&where%5B_id%5D%5B%24in%5D%5B%5D=")
    assert asked.target.endswith("0" * 24)
    assert asked.fields == [(b"Accept", b"application/json")]


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("response", "listing"),
    [
        (reply(b"[%b]" % job(name="x" * 50_000)), {JOB_ID: PollOutcome.RUNNING}),
        (reply(b"[%b]" % job(name="x" * 2_000_000)), Unlisted.TOO_MUCH),
        (reply(b'"host is required"', 400), Unlisted.REFUSED),
        (None, Unlisted.FAILING),
    ],
)
async def test_list_is_read_up_to_a_bound_and_understood(
    response: UpstreamResponse | None, listing: Listing
) -> None:
    assert await listed(TheEye(response)) == listing


@pytest.mark.virtual_time
async def test_large_list_is_read() -> None:
    jobs = [BY_TOKEN] * 200

    upstream = TheEye(reply(b"[%b]" % b",".join([job(name="x" * 2000)] * 200)))
    found = await orchestrator(upstream, 10_000).poll_many(jobs, only_ended=False)
    assert found == {JOB_ID: PollOutcome.RUNNING}


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("response", "ended"),
    [
        (reply(b"[%b]" % finished()), frozenset({JOB_ID})),
        (reply(b"[]"), frozenset[str]()),
        (reply(b"[%b]" % finished(name="x" * MAX_RANGE_BYTES)), Unranged.TOO_MUCH),
        (reply(b"", 500), Unranged.UNKNOWN),
        (None, Unranged.FAILING),
    ],
)
async def test_range_is_read_up_to_a_bound_and_understood(
    response: UpstreamResponse | None, ended: Ended
) -> None:
    upstream = TheEye(response)
    asked = orchestrator(upstream, 10_000_000).poll_range(BY_TOKEN, IdRange("0" * 24, "f" * 24))
    assert await asked == ended
    assert (upstream.asked[0].method, upstream.asked[0].purpose) == ("GET", Purpose.POLL)
    assert upstream.asked[0].fields == [(b"Accept", b"application/json")]


@pytest.mark.parametrize("text", ["x", "\udfff", "\U0001f600"])
async def test_large_job_is_read_whatever_it_holds(text: str) -> None:
    upstream = TheEye(reply(finished(output=[text * AT_ONCE_BYTES])))
    read = await orchestrator(upstream, 10 * AT_ONCE_BYTES * 2).read(BY_TOKEN)
    assert isinstance(read, Found)
    assert len(read.job.output) > AT_ONCE_BYTES


async def test_job_for_which_there_is_no_room_may_be_read_later() -> None:
    buffers = Buffers(2048, 2048)
    asked = orchestrator(TheEye(reply(finished(output=["x" * 1000]))), 10_000, buffers)
    with buffers.of(b"another") as other:
        other.grow(2048)
        with pytest.raises(MemoryFull):
            await asked.read(BY_TOKEN)
        assert await asked.poll(BY_TOKEN) is PollOutcome.FAILING
        assert await asked.poll_many([BY_TOKEN], only_ended=False) is Unlisted.FAILING
    assert isinstance(await asked.read(BY_TOKEN), Found)
    assert buffers.total == 0
