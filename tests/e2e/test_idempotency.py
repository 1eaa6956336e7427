"""Requests with an Idempotency-Key make one job, on real sockets, by a real Redis."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.timing import Timing
from gateway.demo.faults import FaultKind as Fault
from gateway.demo.routes import Operation
from gateway.demo.sessions import SIGNING_KEY, signed_token
from tests.support.harness import (
    PATIENCE_SECONDS,
    Process,
    connected,
    curl,
    gateway_before,
    gateway_timed,
    nameless,
    once,
    process_before,
)
from tests.support.harness import settings as gateway_settings
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from gateway.demo.orchestrator import Orchestrator
    from gateway.server.server import Server
    from tests.support.redis_server import RedisServer

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"
ARGUMENTS = b'["a-confidential-argument", "b", "c"]'
READ_AT_ONCE = Timing(fresh_seconds=0.0)
"""Every repetition asks the upstream whether the job is still there."""


@pytest.fixture
async def server(orchestrator: Orchestrator) -> AsyncIterator[Server]:
    """A gateway that keeps keys in its memory."""
    async with gateway_before(orchestrator.url) as server:
        yield server


def post(
    orchestrator: Orchestrator,
    key: str = f'"{KEY}"',
    *,
    task: str = "echo",
    content: bytes = ARGUMENTS,
    token: str = "",
    query: str = "",
    fields: tuple[str, ...] = (),
) -> bytes:
    """A request for a job of a task, with a key where that is not empty."""
    lines = [
        f"POST /task/{orchestrator.tasks[task].id}/job{query} HTTP/1.1",
        "Host: gateway.test",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        f"Authorization: Bearer {token or orchestrator.tokens['acme-user']}",
        *([f"Idempotency-Key: {key}"] if key else []),
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


def status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


def is_replayed(head: bytes) -> bool:
    return b"\r\nidempotent-replayed: true\r\n" in head.lower()


def code(content: bytes) -> Any:
    return json.loads(content)["code"]


def jobs(orchestrator: Orchestrator) -> int:
    return len(list(orchestrator.jobs))


def sharing(orchestrator: Orchestrator, redis: RedisServer) -> AbstractAsyncContextManager[Process]:
    """A gateway of its own process that keeps keys in Redis."""
    return process_before(orchestrator.url, redis__url=redis.url, limits__mode="report")


async def test_repetition_makes_no_job_and_gets_the_same_reply(
    orchestrator: Orchestrator, server: Server
) -> None:
    head, first = await once(server.url, post(orchestrator))
    again, second = await once(server.url, post(orchestrator, KEY))
    assert (status(head), is_replayed(head)) == (200, False)
    assert (status(again), is_replayed(again)) == (200, True)
    assert first == second
    assert jobs(orchestrator) == 1


async def test_repetition_that_waits_is_led_to_the_same_result(
    orchestrator: Orchestrator, server: Server
) -> None:
    token = orchestrator.tokens["acme-user"]
    url = f"{server.url}/task/{orchestrator.tasks['hello'].id}/job?wait_result=true&parse"
    call = ("--location", "--header", f"Authorization: Bearer {token}", "--data", "", url)
    keyed = ("--header", f'Idempotency-Key: "{KEY}"', *call)
    (first, result), (second, again) = [await curl(*keyed) for _ in range(2)]
    assert (first.status, second.status) == (303, 303)
    assert nameless(first["Location"]) == nameless(second["Location"])
    assert first.all("Idempotent-Replayed") == []
    assert second["Idempotent-Replayed"] == "true"
    assert (result.status, result.content) == (again.status, again.content)
    assert json.loads(result.content) == {"message": "Hello world!"}
    assert jobs(orchestrator) == 1


async def test_repetition_waits_as_it_prefers_itself(
    orchestrator: Orchestrator, server: Server
) -> None:
    """Preferences are no part of what must be the same."""
    keyed = {"task": "held", "content": b"[]"}
    head, created = await once(server.url, post(orchestrator, **keyed))  # type: ignore[arg-type]
    assert status(head) == 200
    waiting = post(orchestrator, fields=("Prefer: wait=30",), **keyed)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        held = [group.create_task(once(server.url, waiting)) for _ in range(2)]
        watcher = server._gateway._sync.watcher
        await until(lambda: watcher.stats().waiters == 2)
        orchestrator.finish(json.loads(created)["id"], output=["1"])
    for answer in held:
        head, content = answer.result()
        assert (status(head), is_replayed(head), content) == (200, True, b'["1"]')
        assert b"\r\npreference-applied: wait=30\r\n" in head.lower()
    assert jobs(orchestrator) == 1


async def test_thousand_requests_with_one_key_on_two_gateways_make_one_job(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    async with (
        sharing(orchestrator, redis_server) as one,
        sharing(orchestrator, redis_server) as other,
    ):
        asking = [once((one, other)[number % 2].url, post(orchestrator)) for number in range(1000)]
        answers = await asyncio.gather(*asking)
    assert jobs(orchestrator) == 1
    (job,) = orchestrator.jobs
    assert {content for _, content in answers} == {answers[0][1]}
    assert json.loads(answers[0][1])["id"] == job.id
    assert {status(head) for head, _ in answers} == {200}
    assert [is_replayed(head) for head, _ in answers].count(False) == 1


async def test_gateway_that_is_killed_in_the_middle_leaves_no_second_job(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    orchestrator.faults.add(Fault.STALL, "/task", method="POST")
    async with (
        sharing(orchestrator, redis_server) as dying,
        sharing(orchestrator, redis_server) as other,
    ):
        first = asyncio.gather(once(dying.url, post(orchestrator)), return_exceptions=True)
        await until(lambda: orchestrator.faults.stalled == 1)
        joined = asyncio.gather(once(other.url, post(orchestrator)))
        dying.signal(signal.SIGKILL)
        assert isinstance((await first)[0], (asyncio.IncompleteReadError, ConnectionError))
        (head, content), *_ = await joined
        assert (status(head), code(content)) == (409, "IdempotencyUnknown")
        orchestrator.faults.clear()
        head, content = await once(other.url, post(orchestrator))
        assert (status(head), code(content)) == (409, "IdempotencyUnknown")
        assert jobs(orchestrator) <= 1
        head, _ = await once(other.url, post(orchestrator, "another-key"))
        assert status(head) == 200


async def test_key_is_kept_while_no_gateway_runs(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    replies = []
    for _ in range(2):
        async with gateway_before(orchestrator.url, redis={"url": redis_server.url}) as server:
            replies.append(await once(server.url, post(orchestrator)))
    (first, content), (second, again) = replies
    assert (is_replayed(first), is_replayed(second)) == (False, True)
    assert content == again
    assert jobs(orchestrator) == 1


async def test_redis_shows_nothing_of_a_request(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    async with gateway_before(orchestrator.url, redis={"url": redis_server.url}) as server:
        await once(server.url, post(orchestrator))
    (job,) = orchestrator.jobs
    token = orchestrator.tokens["acme-user"]
    shown = [*await redis_server.command("KEYS", "*")]
    for key in list(shown):
        if b":caller:" in key:
            shown += await redis_server.command("ZRANGE", key, 0, -1)
        elif b":idempotency:" in key:
            shown += await redis_server.command("HGETALL", key)
    assert b"sealed" in shown
    for secret in (token, token[:20], KEY, job.id, "confidential", "echo", "acme"):
        assert secret.encode() not in b"\n".join(shown)


async def test_nothing_is_created_while_redis_is_down(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    async with gateway_before(orchestrator.url, redis={"url": redis_server.url}) as server:
        await once(server.url, post(orchestrator, "before"))
        await redis_server.stop()
        head, content = await once(server.url, post(orchestrator))
        assert (status(head), code(content)) == (503, "IdempotencyUnavailable")
        assert b"\r\nretry-after: 1\r\n" in head.lower()
        assert jobs(orchestrator) == 1
        head, _ = await once(server.url, post(orchestrator, ""))
        assert status(head) == 200


@pytest.mark.parametrize(("seconds", "is_told"), [(60.0, True), (0.0, False)])
async def test_start_tells_of_a_redis_that_may_evict_keys(
    orchestrator: Orchestrator,
    redis_server: RedisServer,
    caplog: pytest.LogCaptureFixture,
    seconds: float,
    is_told: bool,
) -> None:
    await redis_server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    redis, sync = {"url": redis_server.url}, {"idempotency_seconds": seconds}
    async with gateway_before(orchestrator.url, redis=redis, sync=sync) as server:
        tasks = server._gateway._tasks._tasks
        await until(lambda: not any("policy" in task.get_name() for task in tasks))
    assert ("may evict idempotency keys" in caplog.text) is is_told


async def test_other_content_is_422_and_no_job(orchestrator: Orchestrator, server: Server) -> None:
    await once(server.url, post(orchestrator))
    for other in (
        post(orchestrator, content=b"[1, 2, 3]"),
        post(orchestrator, query="?x"),
        post(orchestrator, task="hello"),
    ):
        head, content = await once(server.url, other)
        assert (status(head), code(content)) == (422, "IdempotencyMismatch")
    assert jobs(orchestrator) == 1


async def test_callers_do_not_share_keys(orchestrator: Orchestrator, server: Server) -> None:
    for caller in ("acme-user", "acme-admin"):
        token = orchestrator.tokens[caller]
        head, _ = await once(server.url, post(orchestrator, token=token))
        assert (status(head), is_replayed(head)) == (200, False)
    assert jobs(orchestrator) == 2


@pytest.mark.parametrize("key", ['""', '"a b"', "a b", "x" * 256, '"a'])
async def test_malformed_key_is_400_and_no_job(
    orchestrator: Orchestrator, server: Server, key: str
) -> None:
    head, content = await once(server.url, post(orchestrator, key))
    assert (status(head), code(content)) == (400, "BadRequest")
    assert jobs(orchestrator) == 0


async def test_two_keys_are_400(orchestrator: Orchestrator, server: Server) -> None:
    two = post(orchestrator, "a", fields=("Idempotency-Key: b",))
    head, _ = await once(server.url, two)
    assert status(head) == 400
    same = post(orchestrator, "a", fields=('Idempotency-Key: "a"',))
    head, _ = await once(server.url, same)
    assert status(head) == 200


async def test_what_was_refused_is_not_remembered(
    orchestrator: Orchestrator, server: Server
) -> None:
    """By the gateway, and by the orchestrator."""
    head, _ = await once(server.url, post(orchestrator, query="?wait_result=true&timeout=x"))
    assert status(head) == 400
    for _ in range(2):
        head, _ = await once(server.url, post(orchestrator, content=b"[1]"))
        assert (status(head), is_replayed(head)) == (400, False)
    assert orchestrator.requests[Operation.CREATE] == 2
    head, _ = await once(server.url, post(orchestrator))
    assert (status(head), is_replayed(head)) == (200, False)
    assert jobs(orchestrator) == 1


@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.CUT, Fault.GARBAGE, Fault.REFUSE])
async def test_request_that_failed_underway_is_never_sent_again(
    orchestrator: Orchestrator, server: Server, fault: Fault
) -> None:
    orchestrator.faults.add(fault, "/task")
    head, _ = await once(server.url, post(orchestrator))
    assert status(head) in {500, 502}
    before = jobs(orchestrator)
    head, content = await once(server.url, post(orchestrator))
    assert (status(head), code(content)) == (409, "IdempotencyUnknown")
    assert jobs(orchestrator) == before <= 1


async def test_orchestrator_that_cannot_be_reached_was_not_asked(
    orchestrator: Orchestrator,
) -> None:
    async with gateway_before("http://127.0.0.1:9") as server:
        for _ in range(2):
            head, content = await once(server.url, post(orchestrator))
            assert (status(head), code(content)) == (502, "BadGateway")


async def test_job_that_is_gone_is_410_and_no_other_is_made(orchestrator: Orchestrator) -> None:
    async with gateway_timed(READ_AT_ONCE, orchestrator.url) as server:
        await once(server.url, post(orchestrator, task="held", content=b"[]"))
        (job,) = orchestrator.jobs
        head, _ = await once(server.url, post(orchestrator, task="held", content=b"[]"))
        assert (status(head), is_replayed(head)) == (200, True)
        orchestrator.finish(job.id)
        orchestrator.remove(job.id)
        for query in ("", "?wait_result=true"):
            request = post(orchestrator, task="held", content=b"[]", query=query)
            head, content = await once(server.url, request)
            expected = (410, "IdempotencyGone") if not query else (422, "IdempotencyMismatch")
            assert (status(head), code(content)) == expected
        assert jobs(orchestrator) == 0


async def test_repetition_gets_the_result_that_was_kept_of_a_job_that_is_gone(
    orchestrator: Orchestrator,
) -> None:
    waiting = post(orchestrator, task="hello", content=b"[]", fields=("Prefer: wait=30",))
    async with gateway_timed(READ_AT_ONCE, orchestrator.url) as server:
        _, result = await once(server.url, waiting)
        (job,) = orchestrator.jobs
        orchestrator.remove(job.id)
        head, again = await once(server.url, waiting)
        assert (status(head), is_replayed(head), again) == (200, True, result)
        assert jobs(orchestrator) == 0


async def test_revoked_token_gets_no_replay(orchestrator: Orchestrator) -> None:
    async with gateway_timed(READ_AT_ONCE, orchestrator.url) as server:
        await once(server.url, post(orchestrator))
        orchestrator.sessions.log_out(orchestrator.tokens["acme-user"])
        head, content = await once(server.url, post(orchestrator))
        assert (status(head), is_replayed(head)) == (401, False)
        assert b"confidential" not in content
        assert jobs(orchestrator) == 1


async def test_verified_user_repeats_with_a_new_token(
    orchestrator: Orchestrator, redis_server: RedisServer
) -> None:
    session = orchestrator.sessions.named("acme-user")
    renewed = signed_token(session, 2_000_000_000)
    orchestrator.sessions.log_in("renewed", session, renewed)
    identity = {"mode": "verify", "secret": SIGNING_KEY}
    redis = {"url": redis_server.url}
    async with gateway_before(orchestrator.url, identity=identity, redis=redis) as server:
        _, first = await once(server.url, post(orchestrator))
        head, second = await once(server.url, post(orchestrator, token=renewed))
    assert (status(head), is_replayed(head)) == (200, True)
    assert json.loads(first)["id"] == json.loads(second)["id"]
    assert jobs(orchestrator) == 1


async def test_client_that_leaves_finds_its_job_when_it_comes_back(
    orchestrator: Orchestrator, server: Server
) -> None:
    orchestrator.faults.add(Fault.STALL, "/task", method="POST")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await once(server.url, post(orchestrator))
    await until(lambda: orchestrator.faults.stalled == 1)
    again = asyncio.gather(once(server.url, post(orchestrator)))
    orchestrator.faults.clear()
    async with asyncio.timeout(PATIENCE_SECONDS):
        ((head, _),) = await again
    assert (status(head), is_replayed(head)) == (200, True)
    assert jobs(orchestrator) == 1


async def test_field_only_passes_where_no_job_of_a_task_is_made_or_keys_are_off(
    orchestrator: Orchestrator, server: Server
) -> None:
    token = orchestrator.tokens["acme-user"]
    request = f"GET /acme/job HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    head, _ = await once(server.url, f"{request}Idempotency-Key: a b\r\n\r\n".encode())
    assert status(head) == 200
    off = {"idempotency_seconds": 0.0}
    async with gateway_before(orchestrator.url, sync=off) as without:
        for _ in range(2):
            head, _ = await once(without.url, post(orchestrator))
            assert (status(head), is_replayed(head)) == (200, False)
    assert jobs(orchestrator) == 2


async def test_key_counts_of_a_request_that_had_begun_before_keys_were_off(
    orchestrator: Orchestrator, server: Server
) -> None:
    head, content = await once(server.url, post(orchestrator))
    request = post(orchestrator)
    async with connected(server.url) as client:
        await client.send(request[:-1])
        await until(lambda: server._gateway.begun == 2)
        off = gateway_settings(orchestrator.url, sync={"idempotency_seconds": 0.0})
        await server.take(off)
        await client.send(request[-1:])
        head, again = await client.answer()
    assert is_replayed(head)
    assert json.loads(again)["id"] == json.loads(content)["id"]
    assert jobs(orchestrator) == 1
    head, _ = await once(server.url, post(orchestrator))
    assert not is_replayed(head)
    await server.take(gateway_settings(orchestrator.url))
    head, _ = await once(server.url, post(orchestrator))
    assert is_replayed(head)
    assert jobs(orchestrator) == 2


async def test_content_larger_than_may_be_held_is_413(orchestrator: Orchestrator) -> None:
    limits = {"result_bytes": 4096, "mode": "off"}
    async with gateway_before(orchestrator.url, limits=limits) as server:
        head, _ = await once(server.url, post(orchestrator, content=b'["' + b"x" * 5000 + b'"]'))
        assert status(head) == 413
        head, _ = await once(server.url, post(orchestrator, ""))
        assert status(head) == 200
    assert jobs(orchestrator) == 1


async def test_flood_of_keys_takes_bounded_memory(orchestrator: Orchestrator) -> None:
    sync = {"idempotency_keys": 20}
    async with gateway_before(orchestrator.url, sync=sync) as server:
        for number in range(60):
            head, _ = await once(server.url, post(orchestrator, f"k{number}", task="held"))
            assert status(head) == 200
        assert server._gateway._sync.keyed.stats().kept == 20
        head, _ = await once(server.url, post(orchestrator, "k59", task="held"))
        assert is_replayed(head)
