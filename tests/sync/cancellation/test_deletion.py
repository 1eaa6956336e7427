"""What a request to cancel a job is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.config import SyncConfig
from gateway.downstream.exchange import Kind, Outcome
from gateway.errors import INVALID_JOB_ID, OTHER_ORGANIZATION, BadGateway, BadRequest, JobEnded
from gateway.protocols.theeye.routes import CancelRoute
from gateway.sync.cancellation.canceller import Canceller
from gateway.sync.cancellation.deletion import ResultDeletion
from gateway.sync.cancellation.job_cancel import JobCancels
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.reader import Found
from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.results import Results
from gateway.upstream.messages.messages import UpstreamResponse
from tests.support.theeye import (
    ALLOW_ORIGIN,
    JOB_ID,
    LOOKUP_FAILED,
    SERVER,
    TheEye,
    exchange,
    finished,
    job,
    reader,
    reply,
    shown,
)
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from gateway.admission.identity.identities import Identity
    from gateway.downstream.exchange import Exchange
    from gateway.errors import Response

pytestmark = pytest.mark.virtual_time

DONE = UpstreamResponse(204, b"No Content", (SERVER,), b"")
GONE = reply(b'"job not found"', 404)
LOCATION = f"/job/{JOB_ID}/result?access_token=t&counter=0&limit=10&timeout=5&rid=r"


class Upstream(TheEye):
    """Answers what cancels a job with ``cancelled``."""

    cancelled: UpstreamResponse | None = DONE

    async def request(self, method: str, *given: object, **options: object) -> UpstreamResponse:
        if method == "PUT":
            self.first = self.cancelled
        return await super().request(method, *given, **options)  # type: ignore[arg-type]


class Deletions:
    """The parts that such a request passes, in front of ``upstream``."""

    def __init__(
        self,
        first: UpstreamResponse | None,
        cancelled: UpstreamResponse | None = DONE,
        config: SyncConfig | None = None,
    ) -> None:
        self.upstream = Upstream(first, latency_seconds=0.25)
        self.upstream.cancelled = cancelled
        self.statuses: list[tuple[int, bool]] = []
        config = config or SyncConfig()
        self.results = Results(reader(self.upstream, 100_000).read, MemoryResults(now, config))

        async def read(access: JobAccess, whose: bytes | None) -> object:
            return await self.results.read(access, whose, has_ended=False, output_only=True)

        cancels = JobCancels(self.upstream, read)  # type: ignore[arg-type]
        canceller = Canceller(lambda _: None)
        self.deletion = ResultDeletion(canceller, cancels, self._answered, config)

    def _answered(self, _identity: Identity, status: int, said: Response | None) -> None:
        self.statuses.append((status, said is not None))

    async def answer(self, asked: Exchange, job_id: str = JOB_ID) -> Response:
        return await self.deletion.respond(asked, CancelRoute(job_id))

    @property
    def methods(self) -> list[str]:
        return [asked.method for asked in self.upstream.asked]


def delete(query: str = "access_token=t", **options: str) -> Exchange:
    return exchange("DELETE", f"/job/{JOB_ID}/result?{query}", **options)  # type: ignore[arg-type]


async def test_job_that_goes_on_is_accepted_to_be_cancelled() -> None:
    deletions, asked = Deletions(reply(job())), delete()
    response = await deletions.answer(asked)
    assert response.status == 202
    assert response.content == (
        b'{"id":"%b","lifecycle":"assigned","state":"in_progress"}' % JOB_ID.encode()
    )
    assert response.fields == (
        SERVER,
        ALLOW_ORIGIN,
        (b"Content-Type", b"application/json"),
        (b"Location", LOCATION.encode()),
        (b"Retry-After", b"1"),
        (b"Cache-Control", b"no-store"),
        (b"X-TheEye-Job-Id", JOB_ID.encode()),
        (b"X-TheEye-Job-State", b"in_progress"),
    )
    assert deletions.methods == ["GET", "PUT"]
    assert deletions.statuses == [(200, False)]
    assert (asked.kind, asked.job_id, asked.job_state) == (Kind.CANCEL, JOB_ID, "in_progress")
    assert (asked.upstream_status, asked.upstream_seconds) == (204, 0.5)


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("counter=7&limit=8", "counter=0&limit=8&timeout=5"),
        ("parse&customer=acme", "parse&customer=acme&counter=0&limit=10&timeout=5"),
    ],
)
async def test_location_begins_a_wait_with_the_query_of_the_request(
    query: str, location: str
) -> None:
    response = await Deletions(reply(job())).answer(delete(query))
    assert shown(response)["Location"] == f"/job/{JOB_ID}/result?{location}&rid=r"


async def test_job_that_has_ended_conflicts_and_its_result_stays() -> None:
    """Also where the upstream removes it later."""
    deletions, asked = Deletions(reply(finished())), delete()
    with pytest.raises(JobEnded) as raised:
        await deletions.answer(asked)
    assert raised.value.status == 409
    assert raised.value.fields == (
        (b"Location", LOCATION.encode()),
        (b"X-TheEye-Job-Id", JOB_ID.encode()),
        (b"X-TheEye-Job-State", b"success"),
    )
    assert deletions.methods == ["GET"]
    assert deletions.statuses == [(200, False)]
    deletions.upstream.first = GONE
    access = JobAccess(JOB_ID, "acme", Credentials("access_token=t", ()))
    found = await deletions.results.of_client(access, asked.identity)
    assert isinstance(found, Found)
    with pytest.raises(JobEnded):
        await deletions.answer(delete())


async def test_nobody_cancels_another_organizations_job() -> None:
    deletions, asked = Deletions(reply(job(customer_name="globex"))), delete()
    response = await deletions.answer(asked)
    assert (response.status, response.content) == (404, b'"job not found"')
    assert shown(response)["X-TheEye-Job-State"] == "unknown"
    assert (asked.reason, asked.outcome) == (OTHER_ORGANIZATION, Outcome.REFUSED)
    assert deletions.methods == ["GET"]


@pytest.mark.parametrize(
    ("said", "is_of_the_token"), [(GONE, False), (reply(LOOKUP_FAILED, 401), True)]
)
async def test_refusal_to_show_the_job_passes(
    said: UpstreamResponse, is_of_the_token: bool
) -> None:
    deletions, asked = Deletions(said), delete()
    response = await deletions.answer(asked)
    assert (response.status, response.content) == (said.status, said.content)
    assert deletions.methods == ["GET"]
    assert deletions.statuses == [(said.status, is_of_the_token)]
    assert (asked.reason, asked.outcome) == ("", Outcome.OK)


@pytest.mark.parametrize(
    "said", [reply(b'"Forbidden"', 403), reply(b'"forbidden"', 401), reply(b"", 500)]
)
async def test_refusal_to_cancel_the_job_passes(said: UpstreamResponse) -> None:
    deletions = Deletions(reply(job()), said)
    response = await deletions.answer(delete())
    assert (response.status, response.content) == (said.status, said.content)
    assert deletions.methods == ["GET", "PUT"]
    assert deletions.statuses == [(said.status, False)]
    assert shown(response)["X-TheEye-Job-State"] == "in_progress"


@pytest.mark.parametrize(
    ("first", "cancelled", "methods"),
    [(None, DONE, ["GET"]), (reply(job()), None, ["GET", "PUT"])],
)
async def test_upstream_that_does_not_say_is_a_bad_gateway(
    first: UpstreamResponse | None, cancelled: UpstreamResponse | None, methods: list[str]
) -> None:
    deletions = Deletions(first, cancelled)
    with pytest.raises(BadGateway) as raised:
        await deletions.answer(delete())
    assert deletions.methods == methods
    assert dict(raised.value.fields)[b"X-TheEye-Job-Id"] == JOB_ID.encode()


@pytest.mark.parametrize("query", ["limit=0", "timeout=abc", "customer=a&customer=b"])
async def test_query_with_which_nobody_could_wait_cancels_nothing(query: str) -> None:
    deletions = Deletions(reply(job()))
    with pytest.raises(BadRequest):
        await deletions.answer(delete(query))
    assert deletions.methods == []


async def test_what_is_no_id_is_refused_in_theeyes_words() -> None:
    deletions, asked = Deletions(reply(job())), delete()
    response = await deletions.answer(asked, "nonsense")
    assert (response.status, response.content) == (400, b'"job id is invalid"')
    assert (asked.reason, deletions.methods) == (INVALID_JOB_ID, [])
