import asyncio
import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.admission.identity.identities import Identity
from gateway.admission.identity.rejection import rejection
from gateway.admission.limits.buffers import Buffers
from gateway.admission.limits.holds import Place
from gateway.config import LimitsConfig, SyncConfig
from gateway.downstream.exchange import Exchange, Kind
from gateway.downstream.request import Client
from gateway.errors import BadGateway, BadRequest, ContentTooLarge, Field, Response, TargetTooLong
from gateway.protocols.theeye.routes import CreateRoute
from gateway.sync.create import REPLAYED, CreateAndWait, Passed
from gateway.sync.idempotency.creations import KeyedCreations
from gateway.sync.jobs.access import JobAccess
from gateway.sync.jobs.creation import Creator, created_job
from gateway.sync.jobs.reader import Read, passed
from gateway.sync.keys.memory_keys import MemoryKeys
from gateway.upstream.messages.messages import Purpose, UpstreamResponse
from tests.support.theeye import (
    ALLOW_ORIGIN,
    JOB_ID,
    LOOKUP_FAILED,
    TheEye,
    created_hold,
    exchange,
    job,
    plenty,
    reply,
    shown,
)
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time

RECORDED = Path(__file__).parent.parent / "recordings" / "v4.15.3"
SECRET_WAIT = RECORDED / "secret_wait.json"
WORKFLOW_SECRET = RECORDED / "workflow_job_more.json"
JSON = (b"Content-Type", b"application/json")
GZIP = (b"Content-Encoding", b"gzip")
FLAG = b'{"wait_result":true}'
CREATED = reply(job(lifecycle="ready"))
DEFAULTS = "counter=0&limit=10&timeout=5"
RID = "&rid=r"
"""The id of the request."""
LIMITS = LimitsConfig(inspect_bytes=2048, result_bytes=8192)


def free(_exchange: Exchange) -> Place:
    return Place()


def handler(
    upstream: TheEye,
    answered: Callable[[Identity, int, Response | None], None] | None = None,
    buffers: Buffers | None = None,
    keyed: KeyedCreations | None = None,
    **config: Any,
) -> CreateAndWait:
    def outbound(client: Client, _request_id: str) -> list[Field]:
        return [*client.fields, (b"X-Forwarded-For", b"192.0.2.1")]

    told = answered or (lambda _identity, _status, _said: None)
    settings, buffers = SyncConfig(**config), buffers or plenty()
    return CreateAndWait(
        Creator(upstream, outbound, buffers, LIMITS.result_bytes),
        told,
        place=free,
        hold=created_hold(upstream, settings, buffers),
        config=settings,
        limits=LIMITS,
        keyed=keyed,
    )


def keyed(read: Read | None = None) -> KeyedCreations:
    """Keys kept in memory; a job is always read as ``read``."""

    async def read_job(_access: JobAccess, _identity: Identity) -> Read:
        assert read is not None
        return read

    job_of = partial(created_job, max_bytes=LIMITS.result_bytes)
    return KeyedCreations(MemoryKeys(now, SyncConfig()), read_job, job_of, now)


async def create(
    created: Exchange, upstream: TheEye | None = None, route: CreateRoute | None = None
) -> Response | Passed:
    creating = handler(upstream or TheEye(CREATED))
    return await creating.create(created, route or CreateRoute())


def post(
    query: str, *fields: Field, pieces: list[bytes] | None = None, customer: str = "acme"
) -> Exchange:
    target = f"/task/1/job?{query}" if query else "/task/1/job"
    return exchange("POST", target, *fields, pieces=pieces, customer=customer)


def location(response: Response | Passed) -> str:
    assert isinstance(response, Response)
    return shown(response)["Location"]


async def test_created_job_becomes_a_303_with_the_same_body_and_fields() -> None:
    upstream = TheEye(reply(CREATED.content, 200, (b"X-A", b"b"), (b"cache-control", b"public")))
    created = post("wait_result=true&a=%20", JSON, pieces=[b'["x",', b"1]"])
    response = await create(created, upstream)
    assert response == Response(
        303,
        CREATED.content,
        (
            (b"Server", b"restify"),
            ALLOW_ORIGIN,
            JSON,
            (b"X-A", b"b"),
            (b"Content-Length", b"%d" % len(CREATED.content)),
            (b"Location", f"/job/{JOB_ID}/result?wait_result=true&a=%20&{DEFAULTS}{RID}".encode()),
            (b"X-TheEye-Job-Id", JOB_ID.encode()),
            (b"X-TheEye-Job-State", b"in_progress"),
            (b"Cache-Control", b"no-store"),
        ),
    )
    (asked,) = upstream.asked
    assert (asked.method, asked.target) == ("POST", "/task/1/job?wait_result=true&a=%20")
    assert (asked.content, asked.purpose) == (b'["x",1]', Purpose.CREATE)
    assert asked.fields == [JSON, (b"X-Forwarded-For", b"192.0.2.1")]
    assert (created.kind, created.job_id, created.job_state) == (Kind.CREATE, JOB_ID, "in_progress")


async def test_newer_upstreams_own_redirect_is_replaced() -> None:
    native = reply(CREATED.content, 303, (b"Location", b"/job/x/result?timeout=10"))
    response = await create(post("wait_result=true&timeout=3"), TheEye(native))
    assert (
        location(response)
        == f"/job/{JOB_ID}/result?wait_result=true&timeout=3&counter=0&limit=10{RID}"
    )


async def test_compressed_answer_stays_as_it_is() -> None:
    content = gzip.compress(CREATED.content, mtime=0)
    response = await create(post("wait_result=true"), TheEye(reply(content, 200, GZIP)))
    assert isinstance(response, Response)
    assert (response.status, response.content) == (303, content)
    assert GZIP in response.fields


@pytest.mark.parametrize(
    "response",
    [
        reply(b'"Unauthorized"', 401),
        reply(job(), 500),
        reply(b"{}"),
        reply(b"{}", 303, (b"Location", b"/elsewhere")),
        reply(b"no gzip", 200, GZIP),
        reply(gzip.compress(CREATED.content, mtime=0)[:-9], 200, GZIP),
        reply(CREATED.content, 200, (b"Content-Encoding", b"br")),
    ],
)
async def test_any_other_answer_passes(response: UpstreamResponse) -> None:
    assert await create(post("wait_result=true"), TheEye(response)) == passed(response)


@pytest.mark.parametrize("response", [reply(LOOKUP_FAILED, 401), CREATED])
async def test_what_the_upstream_says_to_the_token_is_told(response: UpstreamResponse) -> None:
    told: list[tuple[Identity, int, Response | None]] = []
    created = post("wait_result=true")
    creating = handler(TheEye(response), lambda *what: told.append(what))
    await creating.create(created, CreateRoute())
    said = rejection(response.status, response.reason, response.fields, response.content)
    assert told == [(created.identity, response.status, said)]
    assert (said is None) is (response is CREATED)


@pytest.mark.parametrize(
    ("query", "customer", "appended"),
    [
        ("wait_result=true", "acme", ""),
        ("wait_result=true", "", "&customer=a%26cme"),
        ("wait_result=true", "globex", "&customer=a%26cme"),
        ("wait_result=true&customer=x", "", ""),
    ],
)
async def test_location_names_the_organization_when_the_token_does_not(
    query: str, customer: str, appended: str
) -> None:
    name = "a&cme" if appended else "acme"
    created = post(query, customer=customer)
    response = await create(created, TheEye(reply(job(customer_name=name))))
    assert location(response) == f"/job/{JOB_ID}/result?{query}&{DEFAULTS}{appended}{RID}"


@pytest.mark.parametrize("content", [FLAG, b'\n{"task_arguments":[1],"wait_result":true}'])
@pytest.mark.parametrize(
    "fields", [(), (JSON,), ((b"content-type", b"Application/JSON; charset=utf-8"),)]
)
async def test_wait_is_asked_by_the_content(content: bytes, fields: tuple[Field, ...]) -> None:
    upstream = TheEye(CREATED)
    response = await create(post("a=b", *fields, pieces=[content[:5], content[5:]]), upstream)
    assert location(response) == f"/job/{JOB_ID}/result?a=b&{DEFAULTS}{RID}"
    assert upstream.asked[0].content == content


async def test_wait_is_asked_by_compressed_content() -> None:
    content = gzip.compress(FLAG, mtime=0)
    upstream = TheEye(CREATED)
    assert isinstance(await create(post("", JSON, GZIP, pieces=[content]), upstream), Response)
    assert upstream.asked[0].content == content


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ((JSON,), b'{"wait_result":"true"}'),
        ((JSON,), b'{"a":{"wait_result":true}}'),
        ((JSON,), b'[{"wait_result":true}]'),
        ((JSON,), b'{"wait_result":true'),
        ((JSON,), b'{"a":1}'),
        ((JSON, GZIP), FLAG),
        ((JSON, GZIP), gzip.compress(FLAG + b" " * 4000, mtime=0)),
        ((JSON, (b"Content-Encoding", b"br")), FLAG),
    ],
)
async def test_request_that_asks_for_no_wait_is_to_be_relayed_with_what_was_read(
    fields: tuple[Field, ...], content: bytes
) -> None:
    upstream = TheEye(CREATED)
    created = post("wait_result=1", *fields, pieces=[content])
    assert await create(created, upstream) == Passed(content, ended=True)
    assert upstream.asked == []
    assert created.kind is not Kind.CREATE


async def test_content_of_another_type_is_not_read() -> None:
    created = post("", (b"Content-Type", b"text/plain"), pieces=[FLAG])
    assert await create(created) == Passed()
    assert await created.client.read() == FLAG


async def test_long_content_is_read_no_further_than_to_inspect() -> None:
    created = post("", JSON, pieces=[b" " * 1500, b" " * 1500, FLAG])
    assert await create(created) == Passed(b" " * 3000, ended=False)
    assert await created.client.read() == FLAG


async def test_content_announced_as_long_is_not_read() -> None:
    created = post("", JSON, (b"Content-Length", b"5000"), pieces=[FLAG])
    assert await create(created) == Passed()


@pytest.mark.parametrize(
    ("query", "pieces"), [("wait_result=true&timeout=0", []), ("limit=x", [FLAG])]
)
async def test_wrong_parameter_is_refused_before_a_job_exists(
    query: str, pieces: list[bytes]
) -> None:
    upstream = TheEye(CREATED)
    with pytest.raises(BadRequest):
        await create(post(query, JSON, pieces=pieces), upstream)
    assert upstream.asked == []


async def test_wrong_parameter_without_a_wait_is_no_concern() -> None:
    assert await create(post("timeout=0")) == Passed()


async def test_too_much_content_is_refused_before_a_job_exists() -> None:
    upstream = TheEye(CREATED)
    with pytest.raises(ContentTooLarge):
        await create(post("wait_result=true", pieces=[b" " * 5000] * 2), upstream)
    assert upstream.asked == []


@pytest.mark.parametrize(
    "query", ["wait_result=true&x=" + "x" * 15_900, "wait_result=true" + "&a" * 995]
)
async def test_query_too_large_for_the_redirects_is_refused_before_a_job_exists(query: str) -> None:
    upstream = TheEye(CREATED)
    with pytest.raises((TargetTooLong, BadRequest)):
        await create(post(query), upstream)
    assert upstream.asked == []


async def test_failing_upstream_is_told_and_not_asked_twice() -> None:
    upstream = TheEye(None)
    with pytest.raises(BadGateway):
        await create(post("wait_result=true"), upstream)
    assert len(upstream.asked) == 1


async def test_job_is_created_although_the_client_leaves() -> None:
    upstream = TheEye(CREATED, latency_seconds=3)
    creating = handler(upstream)
    left = post("wait_result=true")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await creating.create(left, CreateRoute())
    (task,) = creating._tasks._tasks
    await creating.aclose(grace_seconds=10)
    assert now() == 3
    assert task.result() == CREATED


async def test_job_created_by_secret_is_waited_for_by_its_own_secret() -> None:
    recorded = json.loads(SECRET_WAIT.read_text())["exchanges"][0]["response"]
    native = dict(recorded["headers"])["Location"]
    query = "wait_result=true&timeout=10"
    upstream = TheEye(reply(recorded["body"].encode(), 303, (b"Location", native.encode())))
    response = await create(post(query, customer=""), upstream, CreateRoute(by_secret=True))
    path = native.partition("?")[0]
    assert location(response) == f"{path}?{query}&counter=0&limit=10{RID}"


async def test_workflow_started_by_secret_is_waited_for_by_its_own_jobs_secret() -> None:
    recorded = json.loads(WORKFLOW_SECRET.read_text())["exchanges"][3]["response"]["body"]
    own = json.loads(recorded)
    route = CreateRoute(by_secret=True, workflow_id=own["workflow_id"])
    upstream = TheEye(reply(recorded.encode()))
    response = await create(post("wait_result=true", customer=""), upstream, route)
    path = f"/job/{own['id']}/secret/{own['secret']}/result"
    assert location(response) == f"{path}?wait_result=true&counter=0&limit=10&timeout=5{RID}"


async def test_job_created_by_secret_without_one_of_its_own_passes() -> None:
    response = await create(post("wait_result=true"), None, CreateRoute(by_secret=True))
    assert response == passed(CREATED)


KEY = (b"Idempotency-Key", b'"k"')


@pytest.mark.parametrize("query", ["", "wait_result=true"])
async def test_repetition_with_the_same_key_gets_the_same_answer_and_makes_no_job(
    query: str,
) -> None:
    upstream = TheEye(CREATED)
    buffers = plenty()
    creating = handler(upstream, buffers=buffers, keyed=keyed())
    first, second = post(query, JSON, KEY, pieces=[b"[1]"]), post(query, KEY, pieces=[b"[1]"])
    answer = await creating.create(first, CreateRoute())
    again = await creating.create(second, CreateRoute())
    assert isinstance(answer, Response)
    assert isinstance(again, Response)
    assert (answer.status, answer.content) == (again.status, again.content)
    assert answer.status == (303 if query else 200)
    assert again.fields[-1] == REPLAYED
    assert REPLAYED not in answer.fields
    assert shown(again).get("Location") == shown(answer).get("Location")
    (asked,) = upstream.asked
    assert KEY in asked.fields
    assert (first.job_id, second.job_id) == (JOB_ID, JOB_ID)
    assert buffers.total == 2 * len(CREATED.content)


async def test_creation_with_a_key_goes_on_where_keys_are_off_meanwhile() -> None:
    upstream = TheEye(CREATED, latency_seconds=3)
    creating = handler(upstream, keyed=keyed())
    left = post("", KEY)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await creating.create(left, CreateRoute())
    creating.reconfigure(SyncConfig(idempotency_seconds=0.0), LIMITS)
    assert await creating.create(post("", KEY), CreateRoute()) == Passed()
    await creating.aclose(grace_seconds=10)
    assert now() == 3


async def test_creation_with_a_key_asks_for_no_wait_by_that() -> None:
    creating = handler(TheEye(CREATED), keyed=keyed())
    created = post("", KEY)
    assert await creating.create(created, CreateRoute()) == passed(CREATED)
    assert created.kind is not Kind.CREATE


@pytest.mark.parametrize("leaves", [False, True])
async def test_result_is_kept_of_a_job_with_a_key_though_its_client_does_not_wait(
    leaves: bool,
) -> None:
    upstream = TheEye(CREATED, changes_at=20, latency_seconds=0.1)
    creating = handler(upstream, keyed=keyed())
    asked = asyncio.get_running_loop().create_task(creating.create(post("", KEY), CreateRoute()))
    await asyncio.sleep(0.05)
    if leaves:
        asked.cancel()
    await asyncio.sleep(0.1)
    assert len(creating._hold._following) == 1
    await asyncio.sleep(30)
    assert creating._hold._following._results._store.stats().entries == 1  # type: ignore[union-attr]


async def test_nothing_is_kept_of_a_job_without_a_key_that_nobody_waits_for() -> None:
    creating = handler(TheEye(CREATED))
    assert await creating.create(post(""), CreateRoute()) == Passed()
    assert not len(creating._hold._following)


@pytest.mark.parametrize(("secret", "followed"), [("s", 1), ("", 0)])
async def test_job_by_secret_is_followed_where_its_secret_is_known(
    secret: str, followed: int
) -> None:
    creating = handler(TheEye(reply(job(lifecycle="ready", secret=secret))), keyed=keyed())
    created = exchange("POST", "/task/1/secret/x/job", KEY, pieces=[b""])
    await creating.create(created, CreateRoute(by_secret=True))
    assert len(creating._hold._following) == followed


async def test_wait_is_asked_by_the_content_beside_a_key() -> None:
    creating = handler(TheEye(CREATED), keyed=keyed())
    response = await creating.create(post("", KEY, pieces=[FLAG]), CreateRoute())
    assert location(response)
    plain = post("", (b"Content-Type", b"text/plain"), (KEY[0], b"k2"), pieces=[FLAG])
    assert await creating.create(plain, CreateRoute()) == passed(CREATED)
    long = post("", (KEY[0], b"k3"), pieces=[FLAG + b" " * LIMITS.inspect_bytes])
    assert await creating.create(long, CreateRoute()) == passed(CREATED)


async def test_too_much_content_with_a_key_is_refused_before_a_job_exists() -> None:
    upstream = TheEye(CREATED)
    creating = handler(upstream, keyed=keyed())
    with pytest.raises(ContentTooLarge):
        await creating.create(post("", KEY, pieces=[b" " * 5000] * 2), CreateRoute())
    assert upstream.asked == []


async def test_malformed_key_is_refused_unless_keys_are_off() -> None:
    upstream = TheEye(CREATED)
    with pytest.raises(BadRequest):
        await handler(upstream, keyed=keyed()).create(post("", (KEY[0], b"a b")), CreateRoute())
    assert await handler(upstream).create(post("", (KEY[0], b"a b")), CreateRoute()) == Passed()
    assert upstream.asked == []
