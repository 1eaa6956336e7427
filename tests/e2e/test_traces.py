"""Traces: what a collector gets of real requests, and what it must not get or do."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from gateway.demo.sessions import SIGNING_KEY
from gateway.ops.traces.otlp import CLOSE_SECONDS
from tests.e2e.test_secrecy import PASSWORD, REQUESTS
from tests.support.collector import CollectedSpan, Collector, collecting
from tests.support.harness import curl, once, process_before
from tests.support.replay import until, until_found
from tests.support.traced import PARENT, TRACE
from tests.support.upstream import upstream_answering
from tests.support.wiretap import tapping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.orchestrator import Orchestrator
    from tests.support.harness import Process

TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as running:
        yield running


def get(target: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: gateway", *fields, "", ""]).encode()


async def stopped(gateway: Process) -> float:
    """End it; how long that took, in seconds."""
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert await gateway.ended() == 0
    return time.monotonic() - began


async def metric(gateway: Process, line: str) -> float:
    """The value of a metric with its labels."""
    _, page = await once(gateway.admin_url, get("/metrics", "Connection: close"))
    found = re.search(rf"^{re.escape(line)} (\S+)$", page.decode(), re.MULTILINE)
    assert found, page
    return float(found[1])


def within(inner: CollectedSpan, outer: CollectedSpan) -> bool:
    """Whether one is a part of the other, to a millisecond."""
    tolerance = 1_000_000
    return (
        inner.parent_id == outer.span_id
        and inner.trace_id == outer.trace_id
        and inner.started >= outer.started - tolerance
        and inner.ended <= outer.ended + tolerance
    )


async def test_a_wait_by_redirects_is_one_trace(
    orchestrator: Orchestrator, collector: Collector
) -> None:
    """A job of two and a half seconds, in holds of one. Curl stays with POST."""
    token = orchestrator.tokens["acme-user"]
    task = orchestrator.tasks["sleep"].id
    async with (
        tapping(orchestrator.url) as tap,
        process_before(
            tap.url,
            traces__endpoint=collector.endpoint,
            traces__believed="everybody",
            traces__sample_ratio="0",
        ) as gateway,
    ):
        answers = await curl(
            *("--location", "--request", "POST", "--header", f"traceparent: {TRACEPARENT}"),
            *("--header", "Content-Type: application/json", "--data", "[2.5]"),
            f"{gateway.url}/task/{task}/job?wait_result=true&timeout=1&access_token={token}",
        )
        await stopped(gateway)
    assert [answer.status for answer in answers] == [*[303] * (len(answers) - 1), 200]
    requests = collector.of_kind("server")
    assert len(requests) == len(answers) >= 4
    assert {(span.trace_id, span.parent_id) for span in requests} == {(TRACE, PARENT)}
    assert [span.name for span in requests] == [
        "POST /task/:task/job",
        *["POST /job/:id/result"] * (len(answers) - 1),
    ]
    polls, others = collector.named("GET poll"), []
    for span in collector.spans:
        if span not in requests and span not in polls:
            assert any(within(span, request) for request in requests), span
            others.append(span)
    names = [span.name for span in others]
    assert names.count("admission") == len(requests)
    assert names.count("POST create") == 1
    assert "GET read" in names
    holds = collector.named("hold")
    assert 2 <= len(holds) < len(requests)
    assert sum(hold.ended - hold.started for hold in holds) > 1_500_000_000
    # Each poll began a trace of its own, and is linked with the hold that it was made for.
    assert polls
    for poll in polls:
        assert poll.parent_id == ""
        assert poll.trace_id != TRACE
        [(trace_id, span_id)] = poll.links
        [hold] = [hold for hold in holds if hold.span_id == span_id]
        assert trace_id == TRACE
        assert (poll.trace_id, poll.span_id) in hold.links
    # The orchestrator is told each of them.
    sent = {f"00-{span.trace_id}-{span.span_id}-01" for span in collector.of_kind("client")}
    assert sent == {*tap.parents()}
    assert len(tap.parents()) == len(sent)
    assert collector.resource["service.name"] == "theeye-sync-gateway"


async def test_relayed_request_tells_the_orchestrator_its_own_span(collector: Collector) -> None:
    async with (
        upstream_answering(OK) as upstream,
        process_before(
            upstream.url, traces__endpoint=collector.endpoint, traces__sample_ratio="1"
        ) as gateway,
    ):
        state = "tracestate: congo=t61rcWkgMzE"
        await once(gateway.url, get("/acme/task", f"traceparent: {TRACEPARENT}", state))
        await once(gateway.url, get("/acme/task", "X-Request-Id: 1"))
        await stopped(gateway)
    first, second = collector.named("GET relay")
    assert f"\r\ntraceparent: 00-{TRACE}-{first.span_id}-01\r\n".encode() in upstream.heads[0]
    assert f"\r\n{state}\r\n".encode() in upstream.heads[0]
    assert upstream.heads[0].count(b"traceparent") == 1
    assert (
        f"\r\ntraceparent: 00-{second.trace_id}-{second.span_id}-01\r\n".encode()
        in (upstream.heads[1])
    )
    ids = {span.attributes.get("gateway.request_id") for span in collector.of_kind("server")}
    for request_id in ids:
        assert f"X-Request-Id: {request_id}\r\n".encode() in b"".join(upstream.heads)


async def test_strangers_cannot_have_themselves_traced(collector: Collector) -> None:
    """A trusted proxy can. Whoever is not traced gets through as if there were no traces."""
    message = get("/acme/task", f"traceparent: {TRACEPARENT}", "tracestate: a=b")
    for trusted in ("", "127.0.0.1"):
        async with (
            upstream_answering(OK) as upstream,
            process_before(
                upstream.url,
                listen__trusted_proxies=trusted,
                traces__endpoint=collector.endpoint,
                traces__sample_ratio="0",
            ) as gateway,
        ):
            await once(gateway.url, message)
            await once(gateway.url, get("/acme/task"))
            await stopped(gateway)
        assert len(collector.of_kind("server")) == bool(trusted)
        is_as_it_came = f"\r\ntraceparent: {TRACEPARENT}\r\n".encode() in upstream.heads[0]
        assert is_as_it_came is not bool(trusted)
        assert b"\r\ntracestate: a=b\r\n" in upstream.heads[0]
        assert b"traceparent" not in upstream.heads[1]


async def test_no_token_or_secret_is_exported(
    orchestrator: Orchestrator, collector: Collector
) -> None:
    """Of the requests whose log lines have none: tests/e2e/test_secrecy.py."""
    token, task = orchestrator.tokens["acme-user"], orchestrator.tasks["instant"]
    told = {
        "TOKEN": token,
        "ESCAPED": "".join(f"%{ord(letter):02x}" for letter in token),
        "SECRET": task.secret,
        "PASSWORD": PASSWORD,
        "TASK": task.id,
        "JOB": orchestrator.create("instant").id,
    }
    agent = f"User-Agent: x {token}"

    def filled(template: str) -> bytes:
        for name, value in told.items():
            template = template.replace(name, value)
        head, _, content = template.partition("\r\n\r\n")
        head = f"{head.replace('LENGTH', str(len(content)))}\r\n{agent}"
        return f"{head}\r\n\r\n{content}".encode()

    async with process_before(
        orchestrator.url,
        traces__endpoint=collector.endpoint,
        traces__sample_ratio="1",
        listen__trusted_proxies="127.0.0.1",
        identity__mode="verify",
        identity__secret=SIGNING_KEY,
    ) as gateway:
        await asyncio.gather(*(once(gateway.url, filled(template)) for template in REQUESTS))
        await stopped(gateway)
    assert len(collector.of_kind("server")) == len(REQUESTS)
    assert any(span.attributes.get("gateway.user") for span in collector.spans)
    exported = b"".join(collector.received)
    for secret in (token, task.secret, PASSWORD, SIGNING_KEY):
        header, _, signature = secret.rpartition(".")
        for part in (secret, header, signature, quote(secret, safe=""), told["ESCAPED"]):
            assert not part or part.encode() not in exported


@pytest.mark.parametrize("trouble", ["absent", "hangs", "fails"])
async def test_requests_do_not_notice_a_collector_in_trouble(
    collector: Collector, trouble: str
) -> None:
    endpoint = "http://127.0.0.1:9/v1/traces" if trouble == "absent" else collector.endpoint
    collector.status, collector.seconds = (503, 0.0) if trouble == "fails" else (200, 3600.0)
    async with (
        upstream_answering(OK) as upstream,
        process_before(
            upstream.url,
            traces__endpoint=endpoint,
            traces__sample_ratio="1",
            traces__queue_spans="50",
            traces__timeout_seconds="30",
            limits__mode="report",
        ) as gateway,
    ):
        for _ in range(10):
            answers = await asyncio.gather(*(once(gateway.url, get("/acme")) for _ in range(20)))
            assert all(head.startswith(b"HTTP/1.1 200 ") for head, _ in answers)
        lost = [
            await metric(gateway, f'gateway_spans_total{{result="{result}"}}')
            for result in ("dropped", "failed")
        ]
        took = await stopped(gateway)
    # Each request has three spans; a batch is on its way, as many wait.
    assert sum(lost) >= 600 - 2 * 50
    assert took < CLOSE_SECONDS + 5.0
    assert gateway.told.count("the collector of traces") <= 2


async def test_every_worker_exports(collector: Collector, orchestrator: Orchestrator) -> None:
    async with process_before(
        orchestrator.url,
        listen__workers="2",
        traces__endpoint=collector.endpoint,
        traces__sample_ratio="1",
    ) as gateway:
        for _ in range(20):
            await once(gateway.url, get("/api"))
        await stopped(gateway)
    assert len(collector.of_kind("server")) == 20
    assert len({span.trace_id for span in collector.spans}) == 20


async def test_spans_are_exported_while_the_gateway_runs(
    collector: Collector, orchestrator: Orchestrator
) -> None:
    async with process_before(
        orchestrator.url, traces__endpoint=collector.endpoint, traces__sample_ratio="1"
    ) as gateway:
        await once(gateway.url, get("/api"))
        await until(lambda: bool(collector.of_kind("server")))
        # The collector has them before the gateway knows that it has.
        exported = 'gateway_spans_total{result="exported"}'
        await until_found(partial(metric, gateway, exported))
