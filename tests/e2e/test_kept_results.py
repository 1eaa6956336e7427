"""Results that two gateways keep in one Redis: for their own callers, after TheEye removed them."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.timing import Timing
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.tasks import Task
from gateway.sync.kept.seal import new_key
from tests.support.harness import connected, gateway_before, gateway_timed, once
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.server.server import Server
    from tests.support.redis_server import RedisServer

TASK = Task("few", "64ac0b46c06feba9b89ad79f")
CALLERS = ("acme-user", "acme-owner")


@asynccontextmanager
async def two_gateways(
    orchestrator: Orchestrator, redis: RedisServer, folder: Path
) -> AsyncIterator[tuple[Server, Server]]:
    key = folder / "key"
    key.write_text(new_key())
    sections: dict[str, dict[str, Any]] = {
        "sync": {"result_store": "redis", "seal_key_file": str(key)},
        "redis": {"url": redis.url, "answer_seconds": 5.0},
    }
    async with (
        gateway_before(orchestrator.url, **sections) as one,
        gateway_before(orchestrator.url, **sections) as other,
    ):
        yield one, other


async def asked(
    orchestrator: Orchestrator, server: Server, job_id: str, caller: str
) -> tuple[bytes, bytes]:
    token = orchestrator.tokens[caller]
    message = (
        f"GET /job/{job_id}/result?output&customer=acme&timeout=30 HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    )
    head, content = await once(server.url, message.encode())
    return head.split(b" ")[1], content


async def test_ten_jobs_of_one_task_are_had_on_another_gateway_by_their_callers_only(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with (
        Orchestrator.serving(tasks=[TASK]) as orchestrator,
        two_gateways(orchestrator, redis_server, tmp_path) as (one, other),
    ):
        jobs = {}
        for number in range(10):
            job = orchestrator.create("few")
            caller = CALLERS[number % 2]
            asking = asyncio.gather(asked(orchestrator, one, job.id, caller))
            orchestrator.finish(job.id, output=[f"of {job.id}"])
            await asking
            jobs[job.id] = caller
        await until(lambda: not one._gateway._sync.results._store._queue)  # type: ignore[union-attr]
        assert sum(orchestrator.jobs.get(job_id) is None for job_id in jobs) == 5
        for job_id, caller in jobs.items():
            status, content = await asked(orchestrator, other, job_id, caller)
            assert (status, content) == (b"200", f'["of {job_id}"]'.encode())
            if orchestrator.jobs.get(job_id) is None:
                stranger = CALLERS[caller == CALLERS[0]]
                status, content = await asked(orchestrator, other, job_id, stranger)
                assert (status, content) == (b"404", b'"job not found"')


def created(head: bytes, content: bytes) -> str:
    assert head.split(b" ")[1] in {b"202", b"303", b"200"}
    job_id = json.loads(content)["id"]
    assert isinstance(job_id, str)
    return job_id


def post(orchestrator: Orchestrator, caller: str, query: str, *fields: str) -> bytes:
    lines = (
        f"POST /task/{orchestrator.tasks['few'].id}/job{query} HTTP/1.1",
        "Host: x",
        "Content-Length: 2",
        f"Authorization: Bearer {orchestrator.tokens[caller]}",
        *fields,
    )
    return "\r\n".join([*lines, "", "[]"]).encode()


LEAVES = {
    "does not follow its redirect": ("?wait_result=true", ()),
    "never meant to wait here": ("", ("Prefer: respond-async",)),
    "gave a key and no more": ("", ("Idempotency-Key: {}",)),
}


@pytest.mark.parametrize("how", LEAVES)
async def test_ten_jobs_are_had_though_their_callers_left_before_the_end(how: str) -> None:
    query, fields = LEAVES[how]
    async with (
        Orchestrator.serving(tasks=[TASK]) as orchestrator,
        gateway_timed(Timing(return_seconds=0.0), orchestrator.url) as server,
    ):
        following = server._gateway._sync._following
        jobs = {}
        for number in range(10):
            caller = CALLERS[number % 2]
            keyed = [field.format(number) for field in fields]
            answer = await once(server.url, post(orchestrator, caller, query, *keyed))
            job_id = created(*answer)
            orchestrator.finish(job_id, output=[f"of {job_id}"])
            await until(lambda: not len(following))
            jobs[job_id] = caller
        assert sum(orchestrator.jobs.get(job_id) is None for job_id in jobs) == 5
        for job_id, caller in jobs.items():
            status, content = await asked(orchestrator, server, job_id, caller)
            assert (status, content) == (b"200", f'["of {job_id}"]'.encode())
            if orchestrator.jobs.get(job_id) is None:
                stranger = CALLERS[caller == CALLERS[0]]
                assert (await asked(orchestrator, server, job_id, stranger))[0] == b"404"


async def test_client_that_breaks_off_finds_its_result_when_it_is_back() -> None:
    async with (
        Orchestrator.serving(tasks=[TASK]) as orchestrator,
        gateway_timed(Timing(return_seconds=0.0), orchestrator.url) as server,
    ):
        sync = server._gateway._sync
        async with connected(server.url) as client:
            await client.send(post(orchestrator, "acme-user", "", "Prefer: wait=50"))
            await until(lambda: sync.watcher.stats().waiters == 1)
        (job,) = orchestrator.jobs
        await until(lambda: len(sync._following) == 1)
        orchestrator.finish(job.id, output=["1"])
        await until(lambda: not len(sync._following))
        orchestrator.remove(job.id)
        assert await asked(orchestrator, server, job.id, "acme-user") == (b"200", b'["1"]')


async def test_gateway_stops_while_it_follows_jobs() -> None:
    async with Orchestrator.serving(tasks=[TASK]) as orchestrator:
        async with gateway_timed(Timing(return_seconds=0.0), orchestrator.url) as server:
            message = post(orchestrator, "acme-user", "", "Prefer: respond-async")
            await once(server.url, message)
            following = server._gateway._sync._following
            await until(lambda: server._gateway._sync.watcher.stats().watches == 1)
        assert not len(following)


async def test_redis_shows_nothing_of_a_result(redis_server: RedisServer, tmp_path: Path) -> None:
    async with (
        Orchestrator.serving(tasks=[TASK]) as orchestrator,
        two_gateways(orchestrator, redis_server, tmp_path) as (one, _),
    ):
        job = orchestrator.create("few")
        orchestrator.finish(job.id, output=["of nobody's concern"])
        await asked(orchestrator, one, job.id, "acme-user")
        await until(lambda: not one._gateway._sync.results._store._queue)  # type: ignore[union-attr]
    names = await redis_server.command("KEYS", "theeye-sync-gateway:result:*")
    assert len(names) == 1
    stored = names[0] + await redis_server.command("GET", names[0])
    token = orchestrator.tokens["acme-user"]
    for secret in (b"concern", b"acme", job.id.encode(), token.encode(), token[-20:].encode()):
        assert secret not in stored


async def test_redis_that_is_gone_costs_no_answer(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with (
        Orchestrator.serving(tasks=[TASK]) as orchestrator,
        two_gateways(orchestrator, redis_server, tmp_path) as (one, other),
    ):
        await redis_server.stop()
        job = orchestrator.create("few")
        orchestrator.finish(job.id, output=["x"])
        assert (await asked(orchestrator, one, job.id, "acme-user"))[0] == b"200"
        for _ in range(6):
            orchestrator.finish(orchestrator.create("few").id)
        assert (await asked(orchestrator, one, job.id, "acme-user"))[0] == b"200"
        assert (await asked(orchestrator, other, job.id, "acme-user"))[0] == b"404"
