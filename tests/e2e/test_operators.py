"""What an operator reads when something goes wrong: the access log, the metrics, stderr."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from asyncio.subprocess import PIPE, STDOUT
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway.admission.identity.token import token_hash
from gateway.ops.metrics.merge import EXCHANGED
from gateway.ops.metrics.rows import METRICS
from tests.support.certificates import self_signed
from tests.support.harness import Process, connected, curl, once, process_before, program
from tests.support.issuer import Issuer, issuing
from tests.support.tokens import RSA, UNKNOWN, signed_by
from tests.support.upstream import Peer, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.demo.orchestrator import Orchestrator
    from tests.support.redis_server import RedisServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
GONE = "http://127.0.0.1:1"
"""Where nobody listens."""


def get(target: str, token: str = "good") -> bytes:  # noqa: S107 - nobody's
    return (
        f"GET {target} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


async def lines_of(gateway: Process) -> list[dict[str, Any]]:
    """Its access log, once it has ended."""
    gateway.signal(signal.SIGTERM)
    assert await gateway.ended() == 0
    return [json.loads(line) for line in gateway.logged.splitlines()]


async def metrics_of(gateway: Process, *options: str) -> str:
    (shown,) = await curl(*options, f"{gateway.admin_url}/metrics")
    return shown.content.decode()


async def test_log_tells_of_each_request_what_became_of_it_upstream_and_why_it_was_refused() -> (
    None
):
    async def answer(peer: Peer) -> None:
        while head := await peer.request():
            refused = b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%b" % (len(UNKNOWN), UNKNOWN)
            missing = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
            known = missing if b"/missing" in head else OK
            await peer.answer(refused if b"unknown" in head else known)

    async with (
        upstream_doing(answer) as upstream,
        process_before(
            upstream.url, limits__create__burst="1", limits__create__per_second="0.001"
        ) as gateway,
    ):
        for target, token in (
            ("/job", "good"),
            ("/missing", "good"),
            ("/job", "unknown"),
            ("/job", "unknown"),
        ):
            await once(gateway.url, get(target, token))
        for _ in range(3):
            create = get("/task/64ac0b46c06feba9b89ad795/job").replace(b"GET", b"POST")
            await once(gateway.url, create)
        await once(gateway.url, b"GET /job HTTP/1.1\r\nHost: a b\r\n\r\n")
        page = await metrics_of(gateway)
        lines = await lines_of(gateway)
    told = ("status", "outcome", "reason", "limit", "upstream_status")
    assert [tuple(line[name] for name in told) for line in lines] == [
        (200, "ok", "", "", 200),
        (404, "ok", "", "", 404),
        (401, "ok", "", "", 401),
        (401, "refused", "UnknownToken", "", 0),
        (200, "ok", "", "", 200),
        (429, "refused", "TooManyRequests", "create", 0),
        (429, "refused", "TooManyRequests", "create", 0),
        (400, "refused", "BadRequest", "", 0),
    ]
    hashes = {name: token_hash(name.encode()).hex() for name in ("good", "unknown")}
    assert [line["token_hash"] for line in lines] == [
        *(hashes[name] for name in ("good", "good", "unknown", "unknown", "good", "good", "good")),
        "",
    ]
    assert all((line["upstream_seconds"] > 0) is (line["upstream_status"] > 0) for line in lines)
    assert all(line["upstream_seconds"] <= line["handling_seconds"] for line in lines)
    assert 'gateway_errors_total{reason="UnknownToken"} 1.0' in page
    assert 'gateway_errors_total{reason="TooManyRequests"} 2.0' in page
    assert 'gateway_upstream_seconds_count{purpose="relay"} 4.0' in page
    assert "gateway_access_log_lines_dropped_total 0.0" in page


async def test_log_tells_of_a_wait_what_the_orchestrator_said(orchestrator: Orchestrator) -> None:
    token = orchestrator.tokens["acme-user"]
    task = orchestrator.tasks["hello"].id
    async with process_before(orchestrator.url) as gateway:
        target = f"{gateway.url}/task/{task}/job?wait_result=true&access_token={token}"
        shown = await curl("--location", "--data", "[]", target)
        assert shown[-1].status == 200
        page = await metrics_of(gateway)
        lines = await lines_of(gateway)
    assert [(line["kind"], line["upstream_status"]) for line in lines[:2]] == [
        ("create", 200),
        ("result", 200),
    ]
    assert all(line["upstream_seconds"] > 0 for line in lines)
    assert 'gateway_upstream_seconds_count{purpose="create"} 1.0' in page
    assert 'gateway_upstream_seconds_count{purpose="read"}' in page


async def test_log_tells_why_a_wait_ends_without_a_result(orchestrator: Orchestrator) -> None:
    job = orchestrator.create("held").id
    own, other = (orchestrator.tokens[name] for name in ("acme-user", "globex-user"))
    async with process_before(orchestrator.url) as gateway:
        for target, token in (
            ("/job/none/result", own),
            (f"/job/{job}/result?customer=globex", other),
            (f"/job/{job}/result?customer=acme", other),
            (f"/job/{job}/result?limit=1&counter=1", own),
            (f"/job/{'0' * 24}/result", own),
        ):
            await once(gateway.url, get(target, token))
        page = await metrics_of(gateway)
        lines = await lines_of(gateway)
    told = ("status", "outcome", "reason", "upstream_status")
    assert [tuple(line[name] for name in told) for line in lines] == [
        (400, "refused", "InvalidJobId", 0),
        (404, "refused", "OtherOrganization", 200),
        (404, "refused", "OtherOrganization", 409),
        (408, "ok", "TimeUp", 200),
        (404, "ok", "", 404),
    ]
    assert 'gateway_errors_total{reason="OtherOrganization"} 2.0' in page


async def test_log_tells_how_long_an_upstream_was_waited_for_by_who_left() -> None:
    asked, dropped = asyncio.Event(), asyncio.Event()

    async def say_nothing(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.reader.read()
        dropped.set()

    async with upstream_doing(say_nothing) as upstream, process_before(upstream.url) as gateway:
        async with connected(gateway.url) as client:
            await client.send(get("/job"))
            await asked.wait()
        await dropped.wait()
        (line,) = await lines_of(gateway)
    assert (line["outcome"], line["upstream_status"]) == ("client_closed", 0)
    assert 0 < line["upstream_seconds"] <= line["handling_seconds"]


async def test_log_tells_that_an_answer_broke_off() -> None:
    async def break_off(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")
        peer.reset()

    async with upstream_doing(break_off) as upstream, process_before(upstream.url) as gateway:
        async with connected(gateway.url) as client:
            await client.send(get("/job"))
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.answer()
        (line,) = await lines_of(gateway)
    told = ("status", "outcome", "reason", "upstream_status")
    assert tuple(line[name] for name in told) == (200, "cut", "ContentCut", 200)


async def test_log_tells_a_failing_upstream_from_a_refusal() -> None:
    async with process_before(GONE) as gateway:
        await once(gateway.url, get("/job"))
        (unreachable,) = await lines_of(gateway)
    assert (unreachable["status"], unreachable["outcome"]) == (502, "failed")
    assert (unreachable["reason"], unreachable["upstream_seconds"]) == ("BadGateway", 0)

    async def say_nothing(peer: Peer) -> None:
        await peer.request()
        await peer.request()

    async with (
        upstream_doing(say_nothing) as upstream,
        process_before(upstream.url, upstream__response_seconds="0.05") as gateway,
    ):
        await once(gateway.url, get("/job"))
        page = await metrics_of(gateway)
        (silent,) = await lines_of(gateway)
    assert (silent["status"], silent["outcome"]) == (504, "failed")
    assert silent["reason"] == "GatewayTimeout"
    assert silent["upstream_status"] == 0
    assert silent["upstream_seconds"] > 0
    assert 'gateway_upstream_seconds_count{purpose="relay"} 1.0' in page


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


IN_MEMORY = {"gateway_idempotency_keys"}
"""Not where Redis keeps them."""
OF_WORKERS = {"gateway_workers", "gateway_workers_replaced_total"}


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_page_has_all_metrics_and_prometheus_own_tool_finds_nothing_wrong_with_it(
    workers: str,
    orchestrator: Orchestrator,
    redis_server: RedisServer,
    issuer: Issuer,
    tmp_path: Path,
) -> None:
    files, seal_key = self_signed(tmp_path), tmp_path / "seal.key"
    seal_key.write_text("0123456789abcdef" * 4)
    everything = {
        **files.variables,
        "admin__tls_cert_file": str(files.cert),
        "admin__tls_key_file": str(files.key),
        "identity__mode": "verify",
        "identity__jwks_url": issuer.url,
        "redis__url": redis_server.url,
        "sync__result_store": "redis",
        "sync__seal_key_file": str(seal_key),
        # No collector has to be there for spans to be counted.
        "traces__endpoint": "http://127.0.0.1:9",
    }
    job = orchestrator.create("held")
    token = signed_by("k1", RSA, org_uuid="acme").decode()
    async with process_before(orchestrator.url, "--workers", workers, **everything) as gateway:
        for target in ("/nowhere", f"/job/{job.id}/result?limit=1&counter=1"):
            await once(gateway.url, get(target, token), files.trusting())
        trusting = ("--cacert", str(files.cert))
        page = await metrics_of(gateway, *trusting)
        (shown,) = await curl(
            *trusting, "--header", f"Accept: {EXCHANGED}", f"{gateway.admin_url}/metrics"
        )
    tool = await asyncio.create_subprocess_exec(
        *(program("promtool"), "check", "metrics"), stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await tool.communicate(page.encode())
    assert (said, tool.returncode) == (b"", 0)
    for listener in ("client", "admin"):
        assert f'gateway_certificate_not_after_seconds{{listener="{listener}"}} 1' in page
    assert shown["Content-Type"].startswith("application/openmetrics-text")
    openmetrics = list(
        text_string_to_metric_families(shown.content.decode())  # type: ignore[no-untyped-call]
    )
    told = {family.name for family in openmetrics}
    assert len(told) == len(openmetrics)
    absent = IN_MEMORY if workers == "2" else IN_MEMORY | OF_WORKERS
    rows = [row for row in METRICS if row.name not in absent]
    assert {re.sub(r"_(total|info)$", "", row.name) for row in rows} <= told
    for kind in ("HELP", "TYPE"):
        assert {row.name for row in rows} <= set(re.findall(rf"(?m)^# {kind} (\w+) ", page))


async def readiness_of(gateway: Process) -> tuple[int, dict[str, Any]]:
    (shown,) = await curl(f"{gateway.admin_url}/ready")
    return shown.status, json.loads(shown.content)


async def test_upstream_that_takes_connections_and_answers_nothing_is_not_ready() -> None:
    async def say_nothing(peer: Peer) -> None:
        await peer.request()
        await peer.request()

    async with upstream_doing(say_nothing) as upstream, process_before(upstream.url) as gateway:
        status, body = await readiness_of(gateway)
    assert (status, body["status"]) == (503, "upstream silent")


async def test_upstream_that_goes_and_comes_back_is_told_of_on_stderr() -> None:
    answers = True

    async def serve(peer: Peer) -> None:
        while await peer.request():
            if answers:
                await peer.answer(OK)
            else:
                peer.reset()
                return

    async with (
        upstream_doing(serve) as upstream,
        process_before(upstream.url, limits__mode="off") as gateway,
    ):
        await once(gateway.url, get("/job"))
        answers = False
        await once(gateway.url, get("/job"))
        line = await gateway.until_told("upstream")
        assert "WARNING gateway.upstream: the upstream cannot be reached" in line
        answers = True
        line = await gateway.until_told("upstream")
        assert "the upstream answers again, after " in line
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert gateway.told.count("the upstream ") == 2
