"""Results that two gateways keep in one Redis: for their own callers, after TheEye removed them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.tasks import Task
from gateway.sync.kept.seal import new_key
from tests.support.harness import gateway_before, once
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
