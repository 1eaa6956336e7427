"""Creating requests that prefer to wait (RFC 7240), or are held before they are redirected."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.downstream.exchange import Exchange, Kind, Outcome
from gateway.errors import BadRequest, Response
from gateway.protocols.theeye.job import Job, parse_job
from gateway.protocols.theeye.routes import CreateRoute
from gateway.upstream.messages.messages import Purpose
from tests.support.theeye import JOB_ID, TheEye, exchange, finished, job, reply, shown
from tests.support.virtual_time import now
from tests.sync.test_create import CREATED, JSON, handler

if TYPE_CHECKING:
    from gateway.upstream.messages.messages import UpstreamResponse

pytestmark = pytest.mark.virtual_time

WORKFLOW_ID = "f" * 24
RESULT = f"/job/{JOB_ID}/result"
DEFAULTS = "counter=0&limit=10&timeout=5&rid=r"
SECOND = reply(job(lifecycle="assigned"))


class Creating(TheEye):
    """Creates the job at the first request; it ends ``seconds`` later."""

    def __init__(self, seconds: float, then: UpstreamResponse | None = None) -> None:
        super().__init__(SECOND, now() + seconds, then or reply(finished()))

    async def request(self, *arguments: Any, **named: Any) -> UpstreamResponse:
        if named["purpose"] is Purpose.CREATE:
            return await TheEye(CREATED, asked=self.asked).request(*arguments, **named)
        return await super().request(*arguments, **named)


def post(query: str = "", *prefer: bytes) -> Exchange:
    fields = [JSON, *((b"Prefer", line) for line in prefer)]
    target = f"/task/1/job?{query}" if query else "/task/1/job"
    return exchange("POST", target, *fields, pieces=[b"[]"])


async def respond(created: Exchange, upstream: TheEye, **config: Any) -> tuple[Response, float]:
    """The response, and the seconds it took."""
    began = now()
    response = await handler(upstream, **config).create(created, CreateRoute())
    assert isinstance(response, Response)
    return response, now() - began


@pytest.mark.parametrize("query", ["", "wait_result=true"])
async def test_rfc_7240_4_3_result_is_the_response_where_it_comes_in_time(query: str) -> None:
    created = post(query, b"wait=20")
    response, seconds = await respond(created, Creating(8))
    assert 8 <= seconds < 9
    assert (response.status, response.content) == (200, b'["{\\"a\\":1}"]')
    named = shown(response)
    address = f"{RESULT}?{query}&{DEFAULTS}" if query else f"{RESULT}?{DEFAULTS}"
    assert named["Content-Location"] == address
    assert named["Preference-Applied"] == "wait=20"
    assert named["Vary"] == "Prefer"
    assert (named["X-TheEye-Job-Id"], named["X-TheEye-Job-State"]) == (JOB_ID, "success")
    assert "Location" not in named
    assert (created.kind, created.job_state) == (Kind.CREATE, "success")
    assert 7 < created.held_seconds <= seconds


async def test_result_comes_in_the_format_and_with_the_status_of_its_address() -> None:
    ended = reply(finished(state="failure", output=['{"b":2}']))
    response, _ = await respond(post("parse", b"wait=20"), Creating(1, ended))
    assert (response.status, response.content) == (500, b'{"b":2}')


@pytest.mark.parametrize(
    ("prefer", "applied", "seconds"),
    [
        ([b"wait=7"], "wait=7", 7),
        ([b"wait=900"], "wait=55", 55),
        ([b"wait=0"], "wait=0", 0),
        ([b"respond-async"], "respond-async", 0),
        ([b"respond-async, wait=10"], "respond-async, wait=10", 10),
        ([b"wait=10", b"respond-async"], "respond-async, wait=10", 10),
    ],
)
async def test_rfc_7240_4_1_job_that_goes_on_is_accepted(
    prefer: list[bytes], applied: str, seconds: float
) -> None:
    created = post("a=b", *prefer)
    response, took = await respond(created, Creating(100))
    assert took == seconds
    assert (response.status, response.content) == (202, CREATED.content)
    named = shown(response)
    assert named["Location"] == f"{RESULT}?a=b&{DEFAULTS}"
    assert named["Preference-Applied"] == applied
    assert named["Vary"] == "Prefer"
    assert int(named["Retry-After"]) >= 1
    assert named["Cache-Control"] == "no-store"
    assert "Content-Location" not in named


async def test_malformed_preference_is_an_error_only_where_that_is_asked_for() -> None:
    upstream = Creating(1)
    with pytest.raises(BadRequest, match="malformed"):
        await handler(upstream).create(post("", b"wait=soon, handling=strict"), CreateRoute())
    assert not upstream.asked
    lenient = await handler(upstream).create(post("", b"wait=soon"), CreateRoute())
    assert not isinstance(lenient, Response)


@pytest.mark.parametrize("prefer", [b"return=minimal", b"handling=strict", b"wait", b""])
async def test_preference_that_says_nothing_of_waiting_changes_nothing(prefer: bytes) -> None:
    with_it, _ = await respond(post("wait_result=true", prefer), Creating(1))
    without_it, _ = await respond(post("wait_result=true"), Creating(1))
    assert with_it == without_it
    assert with_it.status == 303


async def test_job_that_was_not_created_is_told_as_the_upstream_tells_it() -> None:
    refused = reply(b'"forbidden"', 403)
    upstream = TheEye(refused)
    response, _ = await respond(post("", b"wait=5"), upstream)
    assert (response.status, response.content) == (403, b'"forbidden"')
    assert len(upstream.asked) == 1


async def test_refusal_of_the_job_is_told_with_its_id() -> None:
    gone = reply(b'"job not found"', 404)
    response, _ = await respond(post("", b"wait=5"), Creating(0, gone))
    assert response.status == 404
    named = shown(response)
    assert named["X-TheEye-Job-Id"] == JOB_ID
    assert "Content-Location" not in named


@pytest.mark.parametrize("query", ["customer=a&customer=b", "parse"])
async def test_what_fails_once_the_job_exists_is_told_at_its_address(query: str) -> None:
    """Or else the client would repeat the request, and make another job."""
    large = reply(finished(output=["x" * 200_000]))
    created = post(query, b"wait=5")
    response, _ = await respond(created, Creating(0, large))
    assert response.status == 202
    assert created.reason
    assert shown(response)["Location"].startswith(RESULT)


async def test_drained_process_accepts_the_job_at_once() -> None:
    created, upstream = post("", b"wait=50"), Creating(100)
    creating = handler(upstream)
    creating._hold._watcher.drain()
    response = await creating.create(created, CreateRoute())
    assert isinstance(response, Response)
    assert (response.status, created.outcome) == (202, Outcome.DRAINED)


@pytest.mark.parametrize(("ends", "status", "seconds"), [(2, 200, 2), (9, 303, 3)])
async def test_creating_request_is_held_first_where_that_is_set(
    ends: float, status: int, seconds: float
) -> None:
    response, took = await respond(post("wait_result=true"), Creating(ends), first_hold_seconds=3.0)
    assert response.status == status
    assert seconds <= took < seconds + 0.5
    named = shown(response)
    assert "Vary" not in named
    assert "Retry-After" not in named
    assert ("Location" in named) is (status == 303)


async def test_preference_wins_over_the_first_hold() -> None:
    created = post("wait_result=true", b"respond-async")
    response, seconds = await respond(created, Creating(9), first_hold_seconds=3.0)
    assert (response.status, seconds) == (202, 0)


async def test_what_is_known_of_the_job_is_its_newest_state() -> None:
    created = post("full", b"wait=20")
    response, _ = await respond(created, Creating(3))
    assert json.loads(response.content)["lifecycle"] == "finished"


@pytest.mark.parametrize(
    ("query", "prefer"),
    [
        ("", b"respond-async"),
        ("", b"wait=3"),
        ("wait_result=true", b""),
        ("customer=globex", b"respond-async"),
    ],
)
async def test_result_is_kept_of_a_job_whose_client_never_comes(query: str, prefer: bytes) -> None:
    upstream = Creating(20)
    creating = handler(upstream)
    await creating.create(post(query, prefer), CreateRoute())
    following = creating._hold._following
    assert len(following) == 1
    await asyncio.sleep(30)
    assert not len(following)
    read = upstream.asked[-1]
    assert (read.purpose, read.target) == (Purpose.READ, f"/acme/job/{JOB_ID}")
    assert following._results._store.stats().entries == 1  # type: ignore[union-attr]


async def test_client_that_leaves_in_the_middle_of_its_creating_request_has_its_result_kept() -> (
    None
):
    upstream = Creating(20)
    creating = handler(upstream)
    held = asyncio.get_running_loop().create_task(
        creating.create(post("", b"wait=50"), CreateRoute())
    )
    await asyncio.sleep(10)
    held.cancel()
    await asyncio.sleep(20)
    assert creating._hold._following._results._store.stats().entries == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("then", [None, reply(b'"job not found"', 404)])
async def test_job_that_is_over_is_not_followed(then: UpstreamResponse | None) -> None:
    creating = handler(Creating(1, then))
    await creating.create(post("", b"wait=20"), CreateRoute())
    assert not len(creating._hold._following)


async def test_job_of_no_organization_is_not_followed() -> None:
    nameless = TheEye(reply(job(lifecycle="ready", customer_name="")))
    creating = handler(nameless)
    await creating.create(post("", b"respond-async"), CreateRoute())
    assert not len(creating._hold._following)


@pytest.mark.parametrize("keyed", [True, False])
async def test_workflow_is_followed_as_one(keyed: bool) -> None:
    creating = handler(TheEye(CREATED))
    following = creating._hold._following
    if keyed:
        creating._hold.follow(
            post(), created_job_of_reply(), by_secret=False, workflow_id=WORKFLOW_ID
        )
    else:
        await creating.create(post("", b"respond-async"), CreateRoute(workflow_id=WORKFLOW_ID))
    (followed,) = following._followed.values()
    assert followed.leaver.access.workflow_id == WORKFLOW_ID
    await following.aclose()


def created_job_of_reply() -> Job:
    made = parse_job(CREATED.content)
    assert made is not None
    return made
