"""What operators see of a whole gateway: the parts' numbers arrive where they are read."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from gateway.config.timing import Timing
from tests.support.harness import connected, gateway_before, gateway_timed, once
from tests.support.replay import until

if TYPE_CHECKING:
    import pytest

    from gateway.demo.orchestrator import Orchestrator

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
GET = b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n"
OFTEN = Timing(flush_seconds=0.005)


async def test_metrics_tell_of_requests_waits_and_the_way_upstream(
    orchestrator: Orchestrator,
) -> None:
    job = orchestrator.create("held")
    token = orchestrator.tokens["acme-user"]
    async with gateway_before(orchestrator.url) as server, connected(server.url) as client:
        await once(server.url, GET)
        await client.send(
            f"GET /job/{job.id}/result?access_token={token} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        await until(lambda: sum(orchestrator.requests.values()) > 2)
        _, waiting = await once(server.admin_url, SCRAPE)
        orchestrator.finish(job.id)
        await client.answer()
        _, ended = await once(server.admin_url, SCRAPE)
    told = [numbers(waiting.decode()), numbers(ended.decode())]
    assert [each["gateway_waits_in_flight"] for each in told] == [1, 0]
    assert told[1]['gateway_waits_total{verdict="ended"}'] == 1
    assert told[1]['gateway_requests_total{kind="relay",method="GET",status="2xx"}'] == 1
    assert told[1]['gateway_requests_total{kind="result",method="GET",status="2xx"}'] == 1
    assert told[1]['gateway_upstream_requests_total{purpose="relay",status="2xx"}'] == 1
    assert told[1]['gateway_upstream_connections{state="idle"}'] > 0
    assert b"acme" not in waiting + ended
    assert job.id.encode() not in waiting + ended


def numbers(exposition: str) -> dict[str, float]:
    """The samples by name and labels."""
    return {
        name: float(value) for name, value in re.findall(r"(?m)^(\w+(?:{.*})?) (\S+)$", exposition)
    }


async def test_access_log_is_written_while_the_gateway_runs(
    orchestrator: Orchestrator, capfd: pytest.CaptureFixture[str]
) -> None:
    written = ""

    def has_line() -> bool:
        nonlocal written
        written += capfd.readouterr().out
        return written.endswith("\n")

    async with gateway_timed(OFTEN, orchestrator.url, log={"access": True}) as server:
        await once(server.url, GET)
        await until(has_line)
    assert '"target":"/api"' in written


async def test_access_log_goes_on_after_a_failure_that_nobody_foresaw(
    orchestrator: Orchestrator,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def flushing() -> list[asyncio.Task[object]]:
        return [task for task in asyncio.all_tasks() if task.get_name() == "flush access log"]

    async with gateway_timed(OFTEN, orchestrator.url, log={"access": True}) as server:
        await until(lambda: bool(flushing()))
        flushing()[0].cancel()
        await once(server.url, GET)
        await until(lambda: '"target":"/api"' in capfd.readouterr().out)
    told = [record.getMessage() for record in caplog.records if record.name == "gateway.tasks"]
    assert told == ["task flush access log ended with CancelledError and begins again in 0.1 s"]
