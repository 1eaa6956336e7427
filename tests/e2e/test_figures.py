"""What /metrics counts is what was sent, exactly, also where two processes have counted it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import ClientSession, DummyCookieJar, WSMsgType, web

from gateway.demo.routes import Operation
from tests.e2e.test_workers import only
from tests.support.harness import connected, once, process_before
from tests.support.processes import workers_of
from tests.test_app import SCRAPE, numbers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.demo.orchestrator import Orchestrator
    from tests.support.harness import Process, RawClient

WAITERS = 4
"""Of each manner."""
REQUESTS = {
    ("relay", "GET", "2xx"): 3 + 3 + 1,
    ("relay", "POST", "4xx"): 2,
    ("relay", "GET", "4xx"): 2,
    ("refused", "GET", "4xx"): 2,
    ("websocket", "GET", "1xx"): 2,
    ("result", "GET", "4xx"): 2,
    ("result", "GET", "2xx"): 2 + WAITERS,
    ("create", "POST", "3xx"): 2 + WAITERS,
    ("create", "POST", "2xx"): WAITERS,
    ("create", "POST", "5xx"): 2,
    ("refused", "POST", "4xx"): 2,
    ("refused", "other", "4xx"): 4,
}
"""By kind, method and class of the status. Of what is no HTTP no method is known."""
KINDS = ("relay", "websocket", "create", "result", "refused")
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})


@dataclass
class Front:
    """Stands before an orchestrator, counts what it is sent, and has a WebSocket at /socket."""

    orchestrator: Orchestrator
    url: str = ""
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Requests by what they are for, as the gateway names it, and the class of the status."""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/socket":
            self.answered["relay", "1xx"] += 1
            return await _echo(request)
        async with (
            ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar()) as session,
            session.request(
                request.method,
                self.orchestrator.url + request.raw_path,
                headers={k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP},
                data=await request.read(),
                allow_redirects=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
            ) as response,
        ):
            content = await response.read()
            fields = {k: v for k, v in response.headers.items() if k.lower() not in HOP_BY_HOP}
        purpose = _purpose(request.method, request.path)
        self.answered[purpose, f"{response.status // 100}xx"] += 1
        return web.Response(status=response.status, body=content, headers=fields)


async def _echo(request: web.BaseRequest) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


def _purpose(method: str, path: str) -> str:
    if method == "POST" and re.fullmatch(r"/task/\w+/job", path):
        return "create"
    # Whether the gateway reads a job for a client or looks whether it has ended is its affair.
    return "read or poll" if re.fullmatch(r"/acme/job(/\w+(/lifecycle)?)?", path) else "relay"


@asynccontextmanager
async def front_of(orchestrator: Orchestrator) -> AsyncIterator[Front]:
    front = Front(orchestrator)
    runner = web.ServerRunner(web.Server(front.answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        front.url = f"http://{host}:{port}"
        yield front
    finally:
        await runner.cleanup()


def message(method: str, target: str, token: str = "", *fields: str, content: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway.test", *fields]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


async def told(client: RawClient, data: bytes) -> tuple[int, str]:
    """The status of its response and the address in it."""
    await client.send(data)
    head, _ = await client.answer()
    found = re.search(rb"(?m)^Location: (.*)\r$", head)
    return int(head.split()[1]), found[1].decode() if found else ""


async def scraped(gateway: Process) -> dict[str, float]:
    """All that is not zero."""
    _, page = await once(gateway.admin_url, SCRAPE)
    return {name: value for name, value in numbers(page.decode()).items() if value}


async def until_page(gateway: Process, so: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """The page once it is so: what is over is counted a moment after its last byte."""
    for _ in range(2000):
        page = await scraped(gateway)
        if so(page):
            return page
        await asyncio.sleep(0.02)
    raise TimeoutError


def family(page: dict[str, float], name: str) -> dict[tuple[str, ...], float]:
    """The values of a metric by those of its labels, in the order of their names."""
    return {
        tuple(re.findall(r'\w+="([^"]*)"', series)): value
        for series, value in page.items()
        if series.partition("{")[0] == name
    }


def sent(answered: Counter[tuple[str, str]], page: dict[str, float]) -> Counter[tuple[str, str]]:
    """What the gateway says it has sent upstream, in the words of ``Front``."""
    found: Counter[tuple[str, str]] = Counter()
    for (purpose, status), count in family(page, "gateway_upstream_requests_total").items():
        told_as = "read or poll" if purpose in {"read", "poll"} else purpose
        found[told_as, status] += round(count)
    assert set(found) >= set(answered)
    return found


async def some_of_all(gateway: Process, orchestrator: Orchestrator, number: int) -> None:
    """What one worker is sent, each on one connection or a few."""
    token, task = orchestrator.tokens["acme-user"], orchestrator.tasks["instant"].id
    unknown = f"{orchestrator.tokens['unknown']}{number}"
    create = f"/task/{task}/job?wait_result=true&parse"
    async with connected(gateway.url) as client:
        for _ in range(3):
            assert (await told(client, message("GET", "/api/status")))[0] == 200
        assert (await told(client, message("POST", "/nowhere", token, content=b"{}")))[0] == 404
        assert [
            (await told(client, message("GET", f"/job/{'0' * 24}/output", unknown)))[0]
            for _ in "12"
        ] == [
            401,
            401,
        ]
        assert (await told(client, message("GET", "/job/none/result", token)))[0] == 400
        status, location = await told(client, message("POST", create, token, content=b"[]"))
        assert status == 303
        assert (await told(client, message("GET", location, token)))[0] == 200
        keyed = message("POST", create, token, 'Idempotency-Key: "k"', content=b"[]")
        assert (await told(client, keyed))[0] == 503
    too_long = message("POST", create, token).replace(b"Length: 0", b"Length: 2000000")
    for refused, expected in ((too_long, 413), (message("GET", "/", "", "Host: b"), 400)):
        head, _ = await once(gateway.url, refused)
        assert int(head.split()[1]) == expected
    head, _ = await once(gateway.url, b"\0\r\n\r\n")
    assert int(head.split()[1]) == 400
    async with ClientSession() as session, session.ws_connect(f"{gateway.url}/socket") as socket:
        await socket.send_str("hi")
        assert await socket.receive_str() == "hi"


async def waiting(
    gateway: Process, orchestrator: Orchestrator, *, prefers: bool
) -> tuple[int, ...]:
    """The statuses that a client gets who waits for a job that ends while it does."""
    token, task = orchestrator.tokens["acme-user"], orchestrator.tasks["held"].id
    async with connected(gateway.url) as client:
        if prefers:
            target = f"/task/{task}/job?parse"
            data = message("POST", target, token, "Prefer: wait=50", content=b"[]")
            return ((await told(client, data))[0],)
        target = f"/task/{task}/job?parse&wait_result=true&timeout=60"
        first, location = await told(client, message("POST", target, token, content=b"[]"))
        last, _ = await told(client, message("GET", location, token))
        return first, last


async def test_figures_of_two_workers_are_what_was_sent(orchestrator: Orchestrator) -> None:
    async with AsyncExitStack() as stack:
        front = await stack.enter_async_context(front_of(orchestrator))
        gateway = await stack.enter_async_context(process_before(front.url, "--workers", "2"))
        for number, worker in enumerate(workers_of(gateway)):
            async with only(worker, gateway):
                await some_of_all(gateway, orchestrator, number)
        async with asyncio.TaskGroup() as group:
            clients = [
                group.create_task(waiting(gateway, orchestrator, prefers=prefers))
                for prefers in [True, False] * WAITERS
            ]
            await until_page(
                gateway, lambda page: page.get("gateway_waits_in_flight") == 2 * WAITERS
            )
            held = [job for job in orchestrator.jobs if job.lifecycle != "finished"]
            for job in held:
                orchestrator.finish(job.id, output=["{}"])
        assert [each.result() for each in clients] == [(200,), (303, 200)] * WAITERS
        kept = await stack.enter_async_context(connected(gateway.url))
        assert (await told(kept, message("GET", "/api/status")))[0] == 200

        def is_over(page: dict[str, float]) -> bool:
            return (
                page.get("gateway_connections_open") == 1
                and "gateway_waits_in_flight" not in page
                and sum(sent(front.answered, page).values()) == sum(front.answered.values())
                and sum(family(page, "gateway_requests_total").values()) == sum(REQUESTS.values())
            )

        page = await until_page(gateway, is_over)

    assert len(held) == 2 * WAITERS
    requests = family(page, "gateway_requests_total")
    assert requests == REQUESTS
    by_kind: Counter[str] = Counter()
    for (kind, _, _), count in requests.items():
        by_kind[kind] += round(count)
    handled = family(page, "gateway_request_handling_seconds_count")
    assert {kind: handled[kind,] for kind in KINDS} == by_kind
    assert page["gateway_request_held_seconds_count"] == 2 * WAITERS
    assert family(page, "gateway_errors_total") == {
        ("UnknownToken",): 2,
        ("InvalidJobId",): 2,
        ("IdempotencyUnavailable",): 2,
        ("ContentTooLarge",): 2,
        ("BadRequest",): 4,
    }
    assert family(page, "gateway_waits_total") == {("ended",): 2 * WAITERS}
    assert family(page, "gateway_notice_seconds_count") == {("poll",): 2 * WAITERS}
    assert family(page, "gateway_limit_verdicts_total") == {
        ("create", "admitted"): 2 * 3 + 2 * WAITERS,
        ("create.content_bytes", "refused"): 2,
        ("result", "admitted"): 2 * 2 + WAITERS,
        ("other", "admitted"): 2 * (3 + 1 + 1 + 1) + 1,
    }
    assert family(page, "gateway_idempotency_requests_total") == {("failed",): 2}

    assert sent(front.answered, page) == front.answered
    assert front.answered["create", "2xx"] == orchestrator.requests[Operation.CREATE]
    assert orchestrator.requests[Operation.CREATE] == len(list(orchestrator.jobs)) == 2 + len(held)
    upstream = family(page, "gateway_upstream_requests_total")
    timed = family(page, "gateway_upstream_seconds_count")
    for (purpose,), count in timed.items():
        assert count == sum(n for (name, _), n in upstream.items() if name == purpose)
    looks = sum(family(page, "gateway_looks_total").values())
    assert looks == sum(n for (name, _), n in upstream.items() if name == "poll")
