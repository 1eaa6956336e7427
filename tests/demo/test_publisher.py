from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from gateway.config import RedisConfig
from gateway.demo.jobs import Ending
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.publisher import Publisher, message
from gateway.demo.versions import Version
from gateway.redis.client import connection
from gateway.sync.push.hints import job_named
from gateway.sync.push.subscription import Subscription
from tests.support.replay import ask, until
from tests.support.workflows import chain, end_next

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer

RECORDED_CHANNEL = "64a000000000000000000001:job-finished:6b05930765f9d16479840267"
RECORDED_PAYLOAD = (
    b'{"topic":"job-finished","id":"2724a2c0-e80c-11f1-8c1c-cf7b95926998","data":{"operation":'
    b'"update","organization":"acme","organization_id":"64a000000000000000000001","model_id":'
    b'"6b05930765f9d16479840267","model_type":"ScriptJob"}}'
)


def test_message_is_theeyes_to_the_letter() -> None:
    job = Orchestrator().create("held")
    channel, payload = message(job)
    assert channel == RECORDED_CHANNEL.replace("6b05930765f9d16479840267", job.id)
    own, recorded = json.loads(payload), json.loads(RECORDED_PAYLOAD)
    assert len(own["id"]) == len(recorded["id"])
    expected = RECORDED_PAYLOAD.replace(b"6b05930765f9d16479840267", job.id.encode())
    assert payload == expected.replace(recorded["id"].encode(), own["id"].encode())


async def test_end_of_a_workflows_job_is_told_with_its_own_topic() -> None:
    """Recording redis_messages of 4.15.3."""
    workflow = chain(1)
    async with Orchestrator.serving(workflows=[workflow]) as orchestrator:
        run = orchestrator.start("chain")
        channel, payload = message(run)
        assert channel == f"64a000000000000000000001:workflow-job-finished:{run.id}"
        told = json.loads(payload)
        assert told["topic"] == "workflow-job-finished"
        assert (told["data"]["model_id"], told["data"]["model_type"]) == (run.id, "WorkflowJob")


@pytest.mark.parametrize("version", list(Version))
async def test_end_of_a_workflow_is_published_by_the_newest_version_only(
    redis_server: RedisServer, version: Version
) -> None:
    subscription = Subscription(connection(RedisConfig(url=redis_server.url)))
    await subscription.open(5)
    async with Orchestrator.serving(
        workflows=[chain(2)], version=version, gap_seconds=0.0, redis_url=redis_server.url
    ) as orchestrator:
        run = orchestrator.start("chain")
        first = await end_next(orchestrator, run)
        second = await end_next(orchestrator, run)
        if version is Version.NEWEST:
            await until(lambda: run.ending is not None)
        mark = orchestrator.create("held")
        orchestrator.finish(mark.id)
        of_workflow = [run.id] if version is Version.NEWEST else []
        expected = [first.id, second.id, *of_workflow, mark.id]
        assert orchestrator.publisher is not None
        told = [job_named(await subscription.message()) for _ in expected]
    assert told == expected
    await subscription.close()


async def test_every_end_is_published_once(redis_server: RedisServer) -> None:
    subscription = Subscription(connection(RedisConfig(url=redis_server.url)))
    await subscription.open(5)
    async with Orchestrator.serving(redis_url=redis_server.url) as orchestrator:
        ended = [orchestrator.create("held") for _ in range(20)]
        for job in ended:
            orchestrator.finish(job.id)
            orchestrator.jobs.end(job, Ending("late"))
        instant = orchestrator.create("instant")
        canceled = orchestrator.create("held")
        token = orchestrator.tokens["acme-user"]
        path = f"/acme/job/{canceled.id}/cancel?access_token={token}"
        await ask(orchestrator.url, f"PUT {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        told = [job_named(await subscription.message()) for _ in range(22)]
    assert told == [*(job.id for job in ended), instant.id, canceled.id]
    await subscription.close()


async def test_messages_can_be_lost(redis_server: RedisServer) -> None:
    subscription = Subscription(connection(RedisConfig(url=redis_server.url)))
    await subscription.open(5)
    async with Orchestrator.serving(redis_url=redis_server.url) as orchestrator:
        lost, told = orchestrator.create("held"), orchestrator.create("held")
        assert orchestrator.publisher is not None
        orchestrator.publisher.is_losing = True
        orchestrator.finish(lost.id)
        orchestrator.publisher.is_losing = False
        orchestrator.finish(told.id)
        assert job_named(await subscription.message()) == told.id
    await subscription.close()


async def test_restarted_redis_is_told_again(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    before = Subscription(connection(RedisConfig(url=redis_server.url)))
    await before.open(5)
    async with Orchestrator.serving(redis_url=redis_server.url) as orchestrator:
        orchestrator.create("instant")
        await before.message()
        await before.close()
        await redis_server.stop()
        orchestrator.create("instant")
        await until(lambda: "messages are lost" in caplog.text)
        await redis_server.start()
        subscription = Subscription(connection(RedisConfig(url=redis_server.url)))
        await subscription.open(5)
        job = orchestrator.create("instant")
        assert job_named(await subscription.message()) == job.id
        await subscription.close()


async def test_what_redis_does_not_take_is_bounded_and_stopping_does_not_wait(
    redis_server: RedisServer,
) -> None:
    redis_server.hang()
    publisher, job = Publisher(redis_server.url, max_queued=3), Orchestrator().create("held")
    publisher.start()
    publisher.tell(job)
    await until(publisher._queue.empty)
    for _ in range(10):
        publisher.tell(job)
    assert publisher._queue.qsize() == 3
    async with asyncio.timeout(0.5):
        await publisher.stop()


async def test_process_publishes_to_the_redis_it_is_given(redis_server: RedisServer) -> None:
    subscription = Subscription(connection(RedisConfig(url=redis_server.url)))
    await subscription.open(5)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.demo", "--port", "0", "--redis", redis_server.url),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        known = Orchestrator()
        path = f"/task/{known.tasks['instant'].id}/job?access_token={known.tokens['acme-user']}"
        created = await ask(url, f"POST {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert job_named(await subscription.message()) == created.value["id"]
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    await subscription.close()
