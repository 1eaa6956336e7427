"""What a repetition is given, by what the upstream says of its token and the job."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gateway.admission.identity.identities import Identity
from gateway.config.timing import USUAL
from gateway.errors import (
    BadGateway,
    GatewayError,
    IdempotencyGone,
    IdempotencyUnknown,
    MemoryFull,
    Response,
    ResponseTooLarge,
)
from gateway.protocols.theeye.job import NOT_FOUND, parse_job
from gateway.protocols.theeye.routes import CreateRoute
from gateway.sync.idempotency.repetition import Repetitions
from gateway.sync.idempotency.sealing import Creation
from gateway.sync.jobs.access import JobAccess
from gateway.sync.jobs.reader import Failing, Found, Read, Refused, Unfinished
from gateway.upstream.messages.messages import UpstreamResponse
from tests.support.theeye import JOB_ID, SERVER, exchange, finished, job, reply

ORIGIN = (b"Origin", b"https://here.example.test")
BEARER = (b"Authorization", b"Bearer t1")
REPLY = reply(job(lifecycle="ready", secret="s3cret"))
OLD = USUAL.fresh_seconds + 1
ENDED = parse_job(finished())
assert ENDED is not None
FOUND = Found(ENDED, (SERVER, (b"Access-Control-Allow-Origin", b"*")))
UNAUTHORIZED = Refused(Response(401, b'"Unauthorized"', (SERVER,), b"Unauthorized"))
FORBIDDEN = Refused(Response(403, b'"forbidden"'))
GONE = Refused(NOT_FOUND, is_gone=True)


@dataclass
class Jobs:
    """Reads as it is told to."""

    read: Read | GatewayError = FOUND
    accesses: list[JobAccess] = field(default_factory=list)

    async def __call__(self, access: JobAccess, _identity: Identity) -> Read:
        self.accesses.append(access)
        access.heard.note(200, 0.5)
        if isinstance(self.read, GatewayError):
            raise self.read
        return self.read


async def repeated(
    jobs: Jobs,
    given: UpstreamResponse | None = REPLY,
    age_seconds: float = OLD,
    *,
    by_secret: bool = False,
    job_id: str = JOB_ID,
    customer: str = "acme",
    workflow_id: str = "",
) -> UpstreamResponse:
    target = "/task/1/secret/s/job" if by_secret else "/task/1/job?a=1"
    made = exchange("POST", target, BEARER, ORIGIN, customer="globex")
    repetitions = Repetitions(
        jobs, lambda response: parse_job(response.content), USUAL.fresh_seconds
    )
    creation = Creation(job_id, customer, given)
    route = CreateRoute(by_secret=by_secret, workflow_id=workflow_id)
    return await repetitions.reply(made, route, creation, age_seconds)


async def test_reply_of_a_moment_ago_is_given_without_a_read() -> None:
    jobs = Jobs()
    assert (await repeated(jobs, age_seconds=0)).content == REPLY.content
    assert jobs.accesses == []


@pytest.mark.parametrize("read", [FOUND, Unfinished(), FORBIDDEN, ResponseTooLarge()])
async def test_older_reply_is_given_if_the_upstream_still_knows_token_and_job(
    read: Read | GatewayError,
) -> None:
    jobs = Jobs(read)
    assert (await repeated(jobs)).content == REPLY.content
    (access,) = jobs.accesses
    assert (access.job_id, access.customer) == (JOB_ID, "acme")
    assert access.credentials.fields == (BEARER,)


async def test_reply_fits_the_origin_that_repeats_the_request() -> None:
    """Scripts of one origin may read what another has begun."""
    again = await repeated(Jobs())
    assert dict(again.fields)[b"Access-Control-Allow-Origin"] == ORIGIN[1]
    plain = UpstreamResponse(200, b"OK", (SERVER,), b"{}")
    assert await repeated(Jobs(), plain) == plain


@pytest.mark.parametrize("given", [REPLY, None])
async def test_revoked_token_gets_what_the_upstream_says(given: UpstreamResponse | None) -> None:
    again = await repeated(Jobs(UNAUTHORIZED), given)
    assert (again.status, again.content) == (401, b'"Unauthorized"')


@pytest.mark.parametrize("given", [REPLY, None])
async def test_job_that_is_gone_is_410(given: UpstreamResponse | None) -> None:
    with pytest.raises(IdempotencyGone):
        await repeated(Jobs(GONE), given)


@pytest.mark.parametrize("given", [REPLY, None])
async def test_upstream_that_does_not_say_is_502(given: UpstreamResponse | None) -> None:
    with pytest.raises(BadGateway):
        await repeated(Jobs(Failing()), given)


@pytest.mark.parametrize("age_seconds", [0, OLD])
async def test_other_token_gets_the_job_as_it_may_read_it(age_seconds: float) -> None:
    again = await repeated(Jobs(), None, age_seconds)
    assert (again.status, again.content) == (200, finished())
    fields = dict(again.fields)
    assert fields[b"Content-Type"] == b"application/json"
    assert fields[b"Content-Length"] == b"%d" % len(finished())


async def test_other_token_that_may_not_read_the_job_is_refused() -> None:
    again = await repeated(Jobs(FORBIDDEN), None)
    assert again.status == 403


@pytest.mark.parametrize("failure", [ResponseTooLarge("large"), MemoryFull("full")])
async def test_job_that_cannot_be_read_now_is_told_as_such(failure: GatewayError) -> None:
    with pytest.raises(type(failure)):
        await repeated(Jobs(failure), None)


async def test_organization_is_the_jobs_own_else_that_of_the_token() -> None:
    jobs = Jobs()
    for customer in ("acme", ""):
        await repeated(jobs, customer=customer)
    assert [access.customer for access in jobs.accesses] == ["acme", "globex"]


async def test_by_secret_the_job_is_read_by_its_own_secret() -> None:
    jobs = Jobs(Unfinished())
    assert (await repeated(jobs, by_secret=True)).content == REPLY.content
    assert jobs.accesses[0].secret == "s3cret"


async def test_by_secret_a_job_without_one_is_not_read() -> None:
    jobs = Jobs(GONE)
    plain = reply(job())
    assert (await repeated(jobs, plain, by_secret=True)).content == plain.content
    assert jobs.accesses == []


@pytest.mark.parametrize("by_secret", [True, False])
async def test_without_a_reply_and_a_job_nothing_is_known(by_secret: bool) -> None:
    with pytest.raises(IdempotencyUnknown):
        await repeated(Jobs(), None, by_secret=by_secret, job_id="")


async def test_workflows_job_is_read_with_its_workflow() -> None:
    jobs = Jobs()
    await repeated(jobs, workflow_id="64f000000000000000000001")
    assert [access.workflow_id for access in jobs.accesses] == ["64f000000000000000000001"]
