"""Two gateways on one Redis behind a real HAProxy: one is killed, the other ended, under load."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.tasks import Task
from gateway.sync.keys.redis_scripts import PREFIX
from tests.support.haproxy import Backend, haproxy_before
from tests.support.harness import RawClient, once, process, program
from tests.support.replay import until_found
from tests.test_app import SCRAPE, numbers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.harness import Process
    from tests.support.redis_server import RedisServer

CLIENTS = 500
AT_ONCE = 25
"""So many begin at once."""
HELD = Task("held", "64ac0b46c06feba9b89ad79d", arguments=1, kept_jobs=2 * CLIENTS)
HOLD_SECONDS = 5
"""Of those in redirect loops: each goes round several times."""


@dataclass
class Crowd:
    """Clients of one token, each with a job and a key of its own, and what befell them."""

    url: str
    token: str
    task: str
    phase: str = "begun"
    cuts: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By client: the phases in which a request of it got no response of a gateway."""
    hops: Counter[str] = field(default_factory=Counter)
    """Responses that led on, by their status."""

    async def wait(self, number: int) -> bytes:
        """One client's result. Odd numbers follow redirects, even ones prefer to wait."""
        prefers = number % 2 == 0
        query = "parse" if prefers else f"parse&wait_result=true&timeout={HOLD_SECONDS}&limit=1000"
        content = json.dumps([number]).encode()
        request = self._request("POST", f"/task/{self.task}/job?{query}", number, content)
        host, port = self.url.partition("://")[2].split(":")
        client: RawClient | None = None
        try:
            while True:
                if client is None:
                    client = RawClient(*await asyncio.open_connection(host, int(port)))
                status, fields, content = await _response(client, request)
                if fields.get("connection") == "close" or status == 0:
                    client.writer.transport.abort()
                    client = None
                if status in {0, 502}:
                    # It repeats just that request: a creating one has a key.
                    self.cuts[number].append(self.phase)
                elif status == 503 and self.cuts[number]:
                    # All who were cut repeat at once; one or the other may be told to come again.
                    assert "retry-after" in fields
                    await asyncio.sleep(0.05)
                elif status in {202, 303}:
                    self.hops[f"{status} {self.phase}"] += 1
                    request = self._request("GET", fields["location"], number)
                else:
                    # Any other is none that a client should see.
                    assert status == 200, (number, self.phase, status, content)
                    return content
        finally:
            if client is not None:
                client.writer.transport.abort()

    def _request(self, method: str, target: str, number: int, content: bytes = b"") -> bytes:
        lines = [
            f"{method} {target} HTTP/1.1",
            "Host: gateway.test",
            f"Authorization: Bearer {self.token}",
        ]
        if number % 2 == 0:
            lines.append("Prefer: wait=50")
        if method == "POST":
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
            lines.append(f'Idempotency-Key: "client-{number}"')
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


async def _response(client: RawClient, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, fields and content; status 0 where the connection ended before."""
    try:
        await client.send(request)
        head, content = await client.answer()
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, {}, b""
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines if line]
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, content


def free_ports(count: int) -> list[int]:
    """Nobody listens there at the moment."""
    with ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [listener.getsockname()[1] for listener in listeners]


@asynccontextmanager
async def gateway_at(
    backend: Backend, orchestrator: Orchestrator, redis: RedisServer
) -> AsyncIterator[Process]:
    async with process(
        listen__host="127.0.0.1",
        listen__port=str(backend.port),
        listen__trusted_proxies="127.0.0.1",
        admin__port=str(backend.admin_port),
        upstream__url=orchestrator.url,
        upstream__max_connections="64",
        # A busy machine is no reason to refuse anybody, or to do without Redis.
        upstream__connect_seconds="60",
        redis__url=redis.url,
        redis__connect_seconds="30",
        redis__answer_seconds="10",
        limits__mode="report",
        log__access="false",
    ) as gateway:
        await gateway.until_listening()
        yield gateway


async def until_created(redis: RedisServer, count: int) -> None:
    """Wait until so many keys have a job that every gateway knows of."""

    async def are_all() -> bool:
        indexes = await redis.command("KEYS", f"{PREFIX}caller:*")
        return sum([int(await redis.command("ZCARD", index)) for index in indexes]) == count

    await until_found(are_all)


async def until_held_by(gateway: Process) -> None:
    """Wait until clients wait there."""

    async def are_some() -> float:
        _, page = await once(gateway.admin_url, SCRAPE)
        return numbers(page.decode())["gateway_waits_in_flight"]

    await until_found(are_some)


async def left_by_clients(gateway: Process) -> list[str]:
    """The requests there whose clients were gone before the response, by kind."""
    _, page = await once(gateway.admin_url, SCRAPE)
    return [name for name in numbers(page.decode()) if 'status="none"' in name]


async def test_no_client_but_those_cut_off_sees_a_gateway_die_and_another_end(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    program("haproxy")
    port, *ports = free_ports(5)
    one, two = Backend(*ports[:2]), Backend(*ports[2:])
    async with AsyncExitStack() as stack:
        orchestrator = await stack.enter_async_context(
            Orchestrator.serving(tasks=[HELD], redis_url=redis_server.url)
        )

        async def started(backend: Backend) -> Process:
            return await stack.enter_async_context(gateway_at(backend, orchestrator, redis_server))

        ending, dying = await asyncio.gather(started(one), started(two))
        haproxy = await stack.enter_async_context(
            haproxy_before(tmp_path, port, {"one": one, "two": two})
        )
        crowd = Crowd(haproxy.url, orchestrator.tokens["acme-user"], HELD.id)
        clients: list[asyncio.Task[bytes]] = []
        async with asyncio.TaskGroup() as group:

            async def come(count: int) -> None:
                for _ in range(0, count, AT_ONCE):
                    numbers = range(len(clients), len(clients) + AT_ONCE)
                    clients.extend([group.create_task(crowd.wait(number)) for number in numbers])
                    await until_created(redis_server, len(clients))

            await come(CLIENTS // 2)
            await until_held_by(dying)
            crowd.phase = "dying"
            dying.signal(signal.SIGKILL)
            await dying.running.wait()
            starting = group.create_task(started(two))
            await come(CLIENTS // 4)
            again = await starting
            await haproxy.until("two", "UP")
            await until_held_by(ending)
            crowd.phase = "ending"
            ending.signal(signal.SIGTERM)
            await come(CLIENTS // 4)
            assert await ending.ended() == 0
            jobs = list(orchestrator.jobs)
            for job in jobs:
                orchestrator.finish(job.id, output=[json.dumps({"for": job.arguments[0]})])
        broken_off = await left_by_clients(again)

    assert [json.loads(each.result())["for"] for each in clients] == [*map(str, range(CLIENTS))]
    assert len(jobs) == orchestrator.requests[Operation.CREATE] == CLIENTS
    # Some of both manners were handed on by the gateway that was told to end.
    assert crowd.hops["202 ending"] > 0
    assert crowd.hops["303 ending"] > 0
    # Those whose requests the killed gateway had. Its port may be open a moment longer than its
    # connections, so that one who repeats at once is cut again.
    assert {phase for phases in crowd.cuts.values() for phase in phases} == {"dying"}
    assert set(haproxy.failures()) == {"two"}
    assert broken_off == []
