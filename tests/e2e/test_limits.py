"""Limits as clients meet them, over real sockets: what is refused, what it says, what it made."""

from __future__ import annotations

import asyncio
import json
import re
import resource
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.admission.identity.token import token_hash
from gateway.config.timing import Timing
from gateway.demo.faults import FaultKind as Fault
from gateway.demo.routes import Operation
from gateway.protocols.theeye.cors import EXPOSED
from tests.support.harness import connected, gateway_before, gateway_timed, once, process_before
from tests.support.issuer import Issuer, issuing
from tests.support.replay import until
from tests.support.tokens import RSA, signed_by
from tests.support.upstream import Peer, upstream_answering, upstream_doing
from tests.test_app import SCRAPE, numbers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.orchestrator import Orchestrator
    from gateway.server.server import Server
    from tests.support.redis_server import RedisServer

SLOW = {"per_second": 0.01, "content_bytes": 2048}
"""So slow that no test sees a refill."""
OK = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\nx-a: 2\r\n\r\nok"
GET = b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


def limits(burst: int = 2, **given: Any) -> dict[str, Any]:
    """Limits in force that let ``burst`` requests of each kind pass."""
    kinds = {kind: {**SLOW, "burst": burst} for kind in ("create", "result", "other")}
    return {"mode": "enforce", "anonymous_share": 1.0, **kinds, **given}


@asynccontextmanager
async def limited(
    orchestrator: Orchestrator, burst: int = 2, **given: Any
) -> AsyncIterator[Server]:
    async with gateway_before(orchestrator.url, limits=limits(burst, **given)) as server:
        yield server


def status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


def field(head: bytes, name: bytes) -> bytes | None:
    found = re.search(rb"(?im)^%b: (.*)\r$" % name, head)
    return found and found[1]


def creating(orchestrator: Orchestrator, query: str = "wait_result=true") -> bytes:
    token, task = orchestrator.tokens["acme-user"], orchestrator.tasks["held"].id
    return (
        f"POST /task/{task}/job?{query} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("query", ["wait_result=true", "no_wait=1"])
async def test_refused_create_says_why_and_has_made_no_job(
    orchestrator: Orchestrator, query: str
) -> None:
    async with limited(orchestrator) as server:
        answers = [await once(server.url, creating(orchestrator, query)) for _ in range(4)]
    statuses = [status(head) for head, _ in answers]
    assert statuses == ([303] * 2 if "wait_" in query else [200] * 2) + [429] * 2
    assert orchestrator.requests[Operation.CREATE] == 2
    head, content = answers[-1]
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert field(head, b"Retry-After") == b"100"
    body = json.loads(content)
    del body["requestId"]
    assert body == {
        "statusCode": 429,
        "message": 'Too many requests of the kind "create":'
        " 0.01 a second and 2 at once are allowed",
        "code": "TooManyRequests",
    }


async def test_other_spellings_of_a_create_are_no_cheaper(orchestrator: Orchestrator) -> None:
    async with limited(orchestrator) as server:
        heads = [
            (await once(server.url, b"POST %b HTTP/1.1\r\nHost: x\r\n\r\n" % path))[0]
            for path in (b"/job", b"/JOB", b"/acme/jo%62", b"/job/")
        ]
    assert [status(head) == 429 for head in heads] == [False, False, True, True]


async def test_connection_survives_a_refusal(orchestrator: Orchestrator) -> None:
    async with limited(orchestrator) as server, connected(server.url) as client:
        statuses = []
        for _ in range(4):
            await client.send(GET)
            statuses.append(status((await client.answer())[0]))
    assert statuses == [200, 200, 429, 429]


async def test_websocket_counts_as_a_request(orchestrator: Orchestrator) -> None:
    upgrade = (
        b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    async with limited(orchestrator, 1) as server, connected(server.url) as client:
        statuses = []
        for message in (GET, upgrade, GET):
            await client.send(message)
            statuses.append(status((await client.answer())[0]))
    assert statuses == [200, 429, 429]


async def test_content_too_long_by_its_length_is_refused_before_it_is_asked_for() -> None:
    async with (
        upstream_answering(OK) as script,
        gateway_before(script.url, limits=limits()) as server,
    ):
        head, content = await once(
            server.url,
            b"POST /job HTTP/1.1\r\nHost: x\r\n"
            b"Expect: 100-continue\r\nContent-Length: 2049\r\n\r\n",
        )
    assert head.startswith(b"HTTP/1.1 413 ")
    assert "2048 bytes" in json.loads(content)["message"]
    assert script.connections == 0
    # Whatever came next would be taken for the content.
    assert field(head, b"Connection") == b"close"


async def test_content_that_came_unasked_leaves_the_connection_to_the_next_request() -> None:
    expecting = (
        b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok"
    )
    async with (
        upstream_answering(OK) as script,
        gateway_before(script.url, limits=limits(1)) as server,
        connected(server.url) as client,
    ):
        statuses = []
        for message in (expecting, expecting, GET):
            await client.send(message)
            statuses.append(status((await client.answer())[0]))
    assert statuses == [200, 429, 429]


@pytest.mark.parametrize("target", [b"/upload", b"/job", b"/job?wait_result=true"])
async def test_content_without_a_length_is_refused_once_there_is_too_much(target: bytes) -> None:
    ended: list[bytes] = []

    async def serve(peer: Peer) -> None:
        await peer.request()
        ended.append(await peer.reader.read())

    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, limits=limits()) as server,
        connected(server.url) as client,
    ):
        await client.send(
            b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % target
        )
        await client.send(chunk * 2)
        await client.send(b"1\r\nx\r\n")
        head, content = await client.answer()
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nConnection: close\r\n" in head
        assert json.loads(content)["code"] == "ContentTooLarge"
        if script.connections:
            await until(lambda: bool(ended))
    assert all(not received.endswith(b"0\r\n\r\n") for received in ended)


async def test_content_of_the_largest_size_passes() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.reader.readexactly(2048)
        await peer.answer(OK)

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, limits=limits()) as server,
    ):
        post = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2048\r\n\r\n" + b"x" * 2048
        head, _ = await once(server.url, post)
    assert status(head) == 200


async def test_answers_stay_as_they_came_where_no_fields_are_wanted() -> None:
    async with (
        upstream_answering(OK) as script,
        gateway_before(script.url, limits=limits()) as server,
    ):
        head, _ = await once(server.url, GET)
    assert head + b"ok" == OK


async def test_fields_are_added_to_answers_that_pass_too() -> None:
    async with (
        upstream_answering(OK) as script,
        gateway_before(script.url, limits=limits(2, headers=True)) as server,
    ):
        passed, _ = await once(server.url, GET)
        await once(server.url, GET)
        refused, _ = await once(server.url, GET)
    added = b'RateLimit-Policy: "other";q=2;w=200\r\nRateLimit: "other";r=1;t=100\r\n\r\n'
    assert passed + b"ok" == OK.replace(b"\r\n\r\n", b"\r\n" + added)
    assert field(refused, b"RateLimit") == b'"other";r=0;t=100'
    assert field(refused, b"Retry-After") == b"100"


async def test_no_redirect_carries_the_fields(orchestrator: Orchestrator) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
    async with limited(orchestrator, headers=True) as server:
        created, _ = await once(server.url, creating(orchestrator))
        other, _ = await once(server.url, creating(orchestrator, "no_wait=1"))
    assert [status(head) for head in (created, other)] == [303, 200]
    assert [b"RateLimit" in head for head in (created, other)] == [False, True]
    async with (
        upstream_answering(moved) as script,
        gateway_before(script.url, limits=limits(headers=True)) as server,
    ):
        head, _ = await once(server.url, GET)
        assert head == moved
        await once(server.url, GET)
        refused, _ = await once(server.url, GET)
    assert field(refused, b"RateLimit") == b'"other";r=0;t=100'


PREFLIGHT = (
    b"OPTIONS /task/t/job?wait_result=true HTTP/1.1\r\nHost: x\r\nOrigin: https://a.test\r\n"
    b"Access-Control-Request-Method: POST\r\n"
    b"Access-Control-Request-Headers: authorization\r\n"
)


async def test_users_of_one_address_are_not_refused_for_their_preflights(
    orchestrator: Orchestrator,
) -> None:
    async with limited(orchestrator, 2, headers=True) as server, connected(server.url) as client:
        for _ in range(48):
            await client.send(PREFLIGHT + b"\r\n")
            head, _ = await client.answer()
            assert status(head) == 204
            assert field(head, b"RateLimit") is None
        assert status((await once(server.url, GET))[0]) == 200
        _, metrics = await once(server.admin_url, SCRAPE)
    told = numbers(metrics.decode())
    assert told['gateway_limit_verdicts_total{limit="other",verdict="admitted"}'] == 1


@pytest.mark.parametrize(
    "message",
    [
        PREFLIGHT.replace(b"Origin", b"X-Origin") + b"\r\n",
        PREFLIGHT.replace(b"Access-Control-Request-Method", b"X-Method") + b"\r\n",
        PREFLIGHT + b"Content-Length: 2\r\n\r\n{}",
        PREFLIGHT.replace(b"OPTIONS", b"POST") + b"Content-Length: 0\r\n\r\n",
    ],
    ids=["no origin", "no method", "content", "post"],
)
async def test_what_only_resembles_a_preflight_counts(
    orchestrator: Orchestrator, message: bytes
) -> None:
    async with limited(orchestrator, 2) as server:
        answers = [await once(server.url, message) for _ in range(3)]
    assert [status(head) == 429 for head, _ in answers] == [False, False, True]


async def test_preflights_are_bounded_by_the_connections_of_their_address(
    orchestrator: Orchestrator,
) -> None:
    async with (
        limited(orchestrator, 2, connections_per_address=1) as server,
        connected(server.url) as client,
    ):
        await client.send(PREFLIGHT + b"\r\n")
        assert status((await client.answer())[0]) == 204
        assert status((await once(server.url, PREFLIGHT + b"\r\n"))[0]) == 429


async def test_scripts_may_read_what_our_own_errors_say(orchestrator: Orchestrator) -> None:
    readable = {name.lower() for name in EXPOSED}
    origin = b"Host: x\r\nOrigin: https://a.test"
    token = orchestrator.tokens["acme-user"].encode()
    refused = GET.replace(b"Host: x", origin)
    wrong = b"GET /job/%b/result?limit=no&access_token=%b HTTP/1.1\r\n%b\r\n\r\n"
    full = creating(orchestrator).replace(b"Host: x", origin)
    heads = []
    async with limited(orchestrator, 2, holds=1) as server:
        heads.append((await once(server.url, wrong % (b"0" * 24, token, origin)))[0])
        await once(server.url, full)
        heads.append((await once(server.url, full))[0])
        heads.extend([(await once(server.url, refused))[0] for _ in range(3)][2:])
    identity = {"mode": "verify", "secret": "a secret that nobody signs with, long enough"}
    async with gateway_before(orchestrator.url, identity=identity) as server:
        unauthorized = refused.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer %b\r\n\r\n" % token)
        heads.append((await once(server.url, unauthorized.replace(b"/api", b"/acme/job")))[0])
    async with gateway_before("http://127.0.0.1:9") as server:
        heads.append((await once(server.url, refused))[0])
    assert [status(head) for head in heads] == [400, 503, 429, 401, 502]
    for head in heads:
        exposed = field(head, b"Access-Control-Expose-Headers")
        assert exposed is not None
        assert {name.strip().lower() for name in exposed.split(b",")} == readable
        assert field(head, b"Access-Control-Allow-Origin") == b"https://a.test"


async def test_token_the_upstream_took_is_independent_of_its_address(
    orchestrator: Orchestrator,
) -> None:
    async with limited(orchestrator, 30, anonymous_share=0.1) as server:
        heads = [(await once(server.url, creating(orchestrator)))[0] for _ in range(31)]
        assert [status(head) for head in heads] == [303] * 30 + [429]
        made_up = [
            await once(
                server.url,
                b"GET /acme/job HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer made.up.%d\r\n\r\n"
                % n,
            )
            for n in range(10)
        ]
    assert [status(head) for head, _ in made_up] == [401] * 2 + [429] * 8


@pytest.mark.parametrize("shared", [False, True])
async def test_good_token_has_its_own_budget_from_its_first_requests_on(
    orchestrator: Orchestrator, redis_server: RedisServer, shared: bool
) -> None:
    redis = {"url": redis_server.url if shared else "", "answer_seconds": 5.0}
    given = limits(100, anonymous_share=0.05)
    async with gateway_before(orchestrator.url, limits=given, redis=redis) as server:
        answers = await asyncio.gather(
            *(once(server.url, creating(orchestrator)) for _ in range(101))
        )
    statuses = sorted(status(head) for head, _ in answers)
    assert statuses == [303] * 100 + [429]
    assert orchestrator.requests[Operation.CREATE] == 100


def asking(token: str, path: str = "/acme/job") -> bytes:
    bearer = token.encode()
    return b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % (
        path.encode(),
        bearer,
    )


async def test_made_up_token_reaches_the_upstream_once_however_often_it_comes(
    orchestrator: Orchestrator,
) -> None:
    async with limited(orchestrator, 20, anonymous_share=0.1) as server:
        answers = await asyncio.gather(
            *(once(server.url, asking(f"made.up.{n % 2}")) for n in range(60))
        )
        assert [status(head) for head, _ in answers] == [401] * 60
        assert orchestrator.requests[Operation.LIST] == 2
        assert status((await once(server.url, asking("made.up.2")))[0]) == 429
        assert status((await once(server.url, GET))[0]) == 429


@pytest.mark.parametrize("shared", [False, True])
async def test_token_that_no_answer_tells_of_costs_its_address_each_time(
    orchestrator: Orchestrator, redis_server: RedisServer, shared: bool
) -> None:
    redis = {"url": redis_server.url if shared else "", "answer_seconds": 5.0}
    given = limits(30, anonymous_share=0.1)
    async with gateway_before(orchestrator.url, limits=given, redis=redis) as server:
        answers = await asyncio.gather(
            *(once(server.url, asking("made.up", "/nowhere/at/all")) for _ in range(20))
        )
    statuses = sorted(status(head) for head, _ in answers)
    assert statuses == [404] * 3 + [429] * 17
    assert orchestrator.requests[Operation.OTHER] == 3


async def test_others_wait_for_a_tokens_first_request(orchestrator: Orchestrator) -> None:
    token = orchestrator.tokens["acme-user"]
    orchestrator.faults.add(Fault.STALL, "/acme/job")
    async with limited(orchestrator, 20, anonymous_share=0.1) as server:
        under_way = server._gateway._pipeline._checks._identities.trials

        def waiting() -> int:
            trial = under_way.of(token_hash(token.encode()))
            assert trial is not None
            return trial._waiting

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(once(server.url, asking(token)))]
            await until(lambda: orchestrator.faults.stalled == 1)
            asked += [group.create_task(once(server.url, asking(token))) for _ in range(10)]
            await until(lambda: waiting() == 10)
            assert orchestrator.requests[Operation.LIST] == 1
            orchestrator.faults.clear()
        assert [status(task.result()[0]) for task in asked] == [200] * 11
        assert len(under_way) == 0


async def test_others_wait_for_a_tokens_first_request_no_longer_than_they_may(
    orchestrator: Orchestrator,
) -> None:
    token = orchestrator.tokens["acme-user"]
    orchestrator.faults.add(Fault.STALL, "/acme/job", times=None)
    soon, rate = Timing(trial_seconds=0.02), limits(20, anonymous_share=0.1)
    async with gateway_timed(soon, orchestrator.url, limits=rate) as server:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(once(server.url, asking(token))) for _ in range(11)]
            await until(lambda: [task.done() for task in asked].count(True) == 9)
            orchestrator.faults.clear()
        statuses = sorted(status(task.result()[0]) for task in asked)
        assert statuses == [200] * 2 + [429] * 9


async def test_client_that_leaves_leaves_no_trial_behind(orchestrator: Orchestrator) -> None:
    token = orchestrator.tokens["acme-user"]
    orchestrator.faults.add(Fault.STALL, "/acme/job")
    async with limited(orchestrator, 20) as server:
        async with connected(server.url) as first, connected(server.url) as second:
            await first.send(asking(token))
            await until(lambda: orchestrator.faults.stalled == 1)
            await second.send(asking(token))
            first.writer.transport.abort()
            assert status((await second.answer())[0]) == 200
        assert len(server._gateway._pipeline._checks._identities.trials) == 0


async def test_report_refuses_nothing_and_shows_what_it_would(orchestrator: Orchestrator) -> None:
    async with limited(orchestrator, mode="report") as server:
        heads = [(await once(server.url, creating(orchestrator)))[0] for _ in range(4)]
        _, metrics = await once(server.admin_url, SCRAPE)
    assert [status(head) for head in heads] == [303] * 4
    told = numbers(metrics.decode())
    assert told['gateway_limit_verdicts_total{limit="create",verdict="admitted"}'] == 2
    assert told['gateway_limit_verdicts_total{limit="create",verdict="reported"}'] == 2


async def test_off_limits_nothing(orchestrator: Orchestrator) -> None:
    async with limited(orchestrator, mode="off", connections_per_address=1) as server:
        async with AsyncExitStack() as stack:
            for _ in range(4):
                client = await stack.enter_async_context(connected(server.url))
                await client.send(GET)
                assert status((await client.answer())[0]) == 200
        _, metrics = await once(server.admin_url, SCRAPE)
    assert b"gateway_limit_verdicts_total{" not in metrics


async def test_results_held_at_once_are_bounded(orchestrator: Orchestrator) -> None:
    job = orchestrator.create("held")
    token = orchestrator.tokens["acme-user"]
    asking = f"GET /job/{job.id}/result?access_token={token}&timeout=60 HTTP/1.1\r\nHost: x\r\n\r\n"
    async with limited(orchestrator, 10, holds_per_token=1) as server:
        async with connected(server.url) as client:
            await client.send(asking.encode())
            await until(lambda: orchestrator.requests[Operation.READ] > 0)
            head, _ = await once(server.url, asking.encode())
            assert status(head) == 429
            assert field(head, b"Retry-After") == b"1"
            orchestrator.finish(job.id)
            assert status((await client.answer())[0]) == 200
        assert status((await once(server.url, asking.encode()))[0]) == 200


def follow(head: bytes, token: str) -> bytes:
    location = field(head, b"Location")
    assert location is not None
    bearer = token.encode()
    return b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % (location, bearer)


@pytest.mark.parametrize("bound", [{"holds_per_token": 2}, {"holds": 2}])
async def test_job_is_created_only_where_there_is_a_place_to_wait_for_it(
    orchestrator: Orchestrator, bound: dict[str, int]
) -> None:
    token = orchestrator.tokens["acme-user"]
    async with limited(orchestrator, 20, **bound) as server:
        created = [(await once(server.url, creating(orchestrator)))[0] for _ in range(2)]
        assert [status(head) for head in created] == [303, 303]
        refused, _ = await once(server.url, creating(orchestrator))
        assert status(refused) == (429 if "holds_per_token" in bound else 503)
        assert field(refused, b"Retry-After") == b"1"
        assert orchestrator.requests[Operation.CREATE] == 2
        assert status((await once(server.url, creating(orchestrator, "no_wait=1")))[0]) == 200
        first, second = created
        # Who has a job has the place for its result, at each hop.
        hop, _ = await once(server.url, follow(first, token).replace(b"timeout=5", b"timeout=1"))
        assert status(hop) == 303
        for job in list(orchestrator.jobs):
            orchestrator.finish(job.id)
        results = [(await once(server.url, follow(head, token)))[0] for head in (hop, second)]
        assert [status(head) for head in results] == [200, 200]
        assert status((await once(server.url, creating(orchestrator)))[0]) == 303


async def test_place_is_given_back_where_no_job_came_to_be(orchestrator: Orchestrator) -> None:
    missing = b"POST /task/%b/job?wait_result=true HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" % (
        b"0" * 24
    )
    bearer = b"Authorization: Bearer %b\r\n\r\n" % orchestrator.tokens["acme-user"].encode()
    path = f"/task/{orchestrator.tasks['held'].id}/job"
    async with limited(orchestrator, 20, holds_per_token=1) as server:
        token = orchestrator.tokens["acme-user"]
        assert status((await once(server.url, asking(token)))[0]) == 200
        for _ in range(3):
            assert status((await once(server.url, missing + bearer))[0]) == 404
        orchestrator.faults.add(Fault.STALL, path)
        async with connected(server.url) as client:
            await client.send(creating(orchestrator))
            await until(lambda: orchestrator.faults.stalled == 1)
            assert status((await once(server.url, creating(orchestrator)))[0]) == 429
        orchestrator.faults.clear()
        async with asyncio.timeout(5):
            while status((await once(server.url, creating(orchestrator)))[0]) == 429:
                pass


async def test_place_of_a_client_that_was_cut_off_waits_for_its_retry(
    orchestrator: Orchestrator,
) -> None:
    token = orchestrator.tokens["acme-user"]
    async with limited(orchestrator, 20, holds_per_token=1) as server:
        created, _ = await once(server.url, creating(orchestrator))
        async with connected(server.url) as client:
            await client.send(follow(created, token))
            await until(lambda: orchestrator.requests[Operation.READ] == 1)
        for _ in range(3):
            assert status((await once(server.url, creating(orchestrator)))[0]) == 429
        [job] = orchestrator.jobs
        orchestrator.finish(job.id)
        assert status((await once(server.url, follow(created, token)))[0]) == 200
        assert status((await once(server.url, creating(orchestrator)))[0]) == 303


@pytest.mark.parametrize("shared", [False, True])
async def test_counter_written_by_hand_buys_no_reads(
    orchestrator: Orchestrator, redis_server: RedisServer, shared: bool
) -> None:
    job = orchestrator.create("held")
    orchestrator.finish(job.id)
    token = orchestrator.tokens["acme-user"]
    asking = f"GET /job/{job.id}/result?access_token={token}&counter=%d HTTP/1.1\r\nHost: x\r\n\r\n"
    redis = {"url": redis_server.url if shared else "", "answer_seconds": 5.0}
    async with gateway_before(orchestrator.url, limits=limits(3), redis=redis) as server:
        heads = [(await once(server.url, (asking % n).encode()))[0] for n in (0, 1, 2, 3, 4)]
        assert [status(head) for head in heads] == [200] * 3 + [429] * 2


async def test_connections_of_one_address_are_bounded(orchestrator: Orchestrator) -> None:
    async with limited(orchestrator, 10, connections_per_address=2) as server:
        async with connected(server.url), connected(server.url) as second:
            head, content = await once(server.url, GET)
            assert status(head) == 429
            assert b"\r\nConnection: close\r\n" in head
            assert field(head, b"Retry-After") == b"1"
            assert json.loads(content)["message"] == "Too many connections from one address"
            await second.send(GET)
            assert status((await second.answer())[0]) == 200

        async def is_free() -> bool:
            return status((await once(server.url, GET))[0]) == 200

        for _ in range(100):
            if await is_free():
                break
        else:
            pytest.fail("the closed connections still count")
        _, metrics = await once(server.admin_url, SCRAPE)
    name = 'gateway_limit_verdicts_total{limit="connections_per_address",verdict="refused"}'
    assert numbers(metrics.decode())[name] >= 1


async def test_flood_of_connections_is_closed_without_a_word(orchestrator: Orchestrator) -> None:
    async with (
        limited(orchestrator, 10, connections_per_address=1) as server,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(connected(server.url)) for _ in range(30)]
        await clients[-1].send(GET)
        with suppress(ConnectionResetError):
            assert await clients[-1].until_closed() == b""
        await clients[0].send(GET)
        assert status((await clients[0].answer())[0]) == 200


async def test_trusted_proxy_may_have_any_number_of_connections(orchestrator: Orchestrator) -> None:
    listen = {"trusted_proxies": ["127.0.0.1"]}
    given = limits(2, connections_per_address=1)
    async with (
        gateway_before(orchestrator.url, listen=listen, limits=given) as server,
        AsyncExitStack() as stack,
    ):
        for number in range(5):
            client = await stack.enter_async_context(connected(server.url))
            await client.send(
                b"GET /api HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n" % number
            )
            assert status((await client.answer())[0]) == 200


async def test_two_gateways_with_one_redis_admit_one_budget(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    redis = {"url": redis_server.url, "answer_seconds": 5.0}
    given = limits(5)
    async with (
        gateway_before(orchestrator.url, limits=given, redis=redis) as first,
        gateway_before(orchestrator.url, limits=given, redis=redis) as second,
    ):
        answers = await asyncio.gather(
            *(once(server.url, creating(orchestrator)) for server in [first, second] * 6)
        )
    statuses = sorted(status(head) for head, _ in answers)
    assert statuses == [303] * 5 + [429] * 7
    assert orchestrator.requests[Operation.CREATE] == 5


@pytest.mark.parametrize("shared", [False, True])
async def test_rule_for_an_organization_is_for_verified_tokens_of_it(
    issuer: Issuer, redis_server: RedisServer, shared: bool
) -> None:
    rules = ({"organization": "acme", "other": {"burst": 3}},)
    sections: dict[str, Any] = {
        "identity": {"mode": "verify", "jwks_url": issuer.url},
        "limits": limits(1, rules=rules),
        "redis": {"url": redis_server.url if shared else "", "answer_seconds": 5.0},
    }
    seen = {}
    async with upstream_answering(OK) as script, gateway_before(script.url, **sections) as server:
        for organization in ("acme", "globex"):
            token = signed_by("k1", RSA, org_uuid=organization, user_id=organization)
            request = b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % token
            heads = [(await once(server.url, request))[0] for _ in range(4)]
            seen[organization] = [status(head) for head in heads]
    assert seen == {"acme": [200, 200, 200, 429], "globex": [200, 429, 429, 429]}


@pytest.mark.no_cover
async def test_flood_of_made_up_tokens_reaches_nobody_and_takes_little(
    orchestrator: Orchestrator,
) -> None:
    variables = {
        f"limits__{kind}__{name}": value
        for kind in ("create", "other")
        for name, value in (("per_second", "0.001"), ("burst", "200"))
    }
    variables |= {"limits__create__burst": "3", "sync__follow_seconds": "0"}
    async with process_before(orchestrator.url, log__access="false", **variables) as gateway:
        heads = [(await once(gateway.url, creating(orchestrator)))[0] for _ in range(4)]
        assert [status(head) for head in heads] == [303] * 3 + [429]
        await flood(gateway.url, 0, 5000)
        before = resident_bytes(gateway.running.pid)
        await asyncio.gather(*(flood(gateway.url, n * 6_000, 6_000) for n in range(1, 5)))
        assert resident_bytes(gateway.running.pid) - before < 6 * 2**20
        assert orchestrator.requests[Operation.LIST] <= 20
        head, _ = await once(gateway.url, creating(orchestrator))
    assert status(head) == 429


async def flood(url: str, first: int, count: int) -> None:
    """So many requests, each with a token of its own, on one connection."""
    async with connected(url) as client:
        for start in range(first, first + count, 100):
            await client.send(
                b"".join(
                    b"GET /acme/job HTTP/1.1\r\nHost: x\r\n"
                    b"Authorization: Bearer made.up.%d\r\n\r\n" % number
                    for number in range(start, start + 100)
                )
            )
            answers = b""
            async with asyncio.timeout(30):
                while answers.count(b"HTTP/1.1 ") < 100:
                    answers += await client.reader.read(65536)
            assert answers.count(b"HTTP/1.1 429 ") + answers.count(b"HTTP/1.1 401 ") == 100


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


async def test_request_passes_though_redis_is_gone(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    await redis_server.stop()
    redis = {"url": redis_server.url}
    async with gateway_before(orchestrator.url, limits=limits(5), redis=redis) as server:
        answers = [await once(server.url, creating(orchestrator)) for _ in range(6)]
        _, metrics = await once(server.admin_url, SCRAPE)
    assert [status(head) for head, _ in answers] == [303] * 5 + [429]
    told = numbers(metrics.decode())
    assert told["gateway_redis_answering"] == 0
    assert told["gateway_redis_failures_total"] == 1
    assert told['gateway_budget_decisions_total{store="memory"}'] == 6
