"""Several workers on one port, as processes that are signalled, stopped and killed."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from os import kill
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.demo.faults import FaultKind as Fault
from gateway.demo.routes import Operation
from gateway.sync.keys.stores import NOT_SHARED
from tests.e2e.test_drain import RELAYED, held_request
from tests.support.certificates import self_signed
from tests.support.harness import Process, connected, curl, once, process, process_before
from tests.support.processes import standing_still, state, workers_of
from tests.support.replay import until
from tests.support.tokens import signed
from tests.support.upstream import upstream_answering
from tests.test_app import SCRAPE, numbers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.orchestrator import Orchestrator
    from tests.support.harness import RawClient

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="this system does not tell a process's children"
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UPSTREAM_TIMES = 'gateway_upstream_seconds_count{purpose="relay"}'
RELAYS = 'gateway_requests_total{kind="relay",method="GET",status="2xx"}'


@asynccontextmanager
async def only(worker: int, gateway: Process) -> AsyncIterator[None]:
    """Within the block the other workers stand still, so that this one takes all connections."""
    async with standing_still([pid for pid in workers_of(gateway) if pid != worker]):
        yield


async def scraped(gateway: Process) -> dict[str, float]:
    _, page = await once(gateway.admin_url, SCRAPE)
    return numbers(page.decode())


async def test_sigterm_drains_every_worker(orchestrator: Orchestrator) -> None:
    job = orchestrator.create("held")
    orchestrator.faults.add(Fault.STALL, "/api/status", times=None)
    async with (
        AsyncExitStack() as stack,
        process_before(
            orchestrator.url, "--workers", "2", log__format="text", coverage="on"
        ) as gateway,
    ):
        holding: list[RawClient] = []
        relaying: list[RawClient] = []
        for worker in workers_of(gateway):
            async with only(worker, gateway):
                for clients in (holding, relaying):
                    clients.append(await stack.enter_async_context(connected(gateway.url)))
                await holding[-1].send(held_request(orchestrator, job.id))
                await relaying[-1].send(RELAYED)
                await until(lambda: orchestrator.faults.stalled == len(relaying))
                await until(lambda: orchestrator.requests[Operation.READ] >= len(holding))
        assert (await scraped(gateway))["gateway_waits_in_flight"] == 2
        gateway.signal(signal.SIGTERM)
        for client in holding:
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 303 ")
            assert b"\r\nConnection: close\r\n" in head
        with pytest.raises(ConnectionRefusedError):
            async with connected(gateway.url):
                pass
        [ready] = await curl(f"{gateway.admin_url}/ready")
        assert (ready.status, ready.content) == (503, b'{"status":"draining"}')
        orchestrator.faults.clear()
        for client in relaying:
            head, content = await client.answer()
            assert head.startswith(b"HTTP/1.1 200 ")
            assert json.loads(content)["status"] == "Node is ok."
        assert await gateway.ended() == 0
    outcomes = re.findall(r"outcome=(\w+)", gateway.logged)
    assert sorted(outcomes) == ["drained", "drained", "ok", "ok"]
    assert "Traceback" not in gateway.told
    warnings = [line for line in gateway.told.splitlines() if "WARNING" in line]
    assert [line.partition(" WARNING gateway: ")[2] for line in warnings] == [NOT_SHARED]


async def test_killed_worker_is_replaced_while_clients_go_on() -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, listen__workers="2") as gateway,
    ):
        first, second = workers_of(gateway)
        async with only(second, gateway), connected(gateway.url) as client:
            await client.send(RELAYED)
            await client.answer()
            kill(first, signal.SIGKILL)
            # What comes meanwhile is taken by whoever is left.
            for _ in range(5):
                assert (await once(gateway.url, RELAYED))[1] == b"ok"
            await client.send(RELAYED)
            assert (await client.answer())[1] == b"ok"
        await gateway.until_told("another one starts in 0.1 s")
        await until(lambda: len(workers_of(gateway)) == 2 and first not in workers_of(gateway))
        [third] = set(workers_of(gateway)) - {second}
        async with only(third, gateway):
            assert (await once(gateway.url, RELAYED))[1] == b"ok"
        told = await scraped(gateway)
        assert told[RELAYS] == 8
        assert told["gateway_workers"] == 2
        assert told["gateway_workers_replaced_total"] == 1
        [live] = await curl(f"{gateway.admin_url}/live")
        assert live.status == 200
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert "Traceback" not in gateway.told


async def test_what_a_killed_worker_had_counted_stays() -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, "--workers", "2") as gateway,
    ):
        workers = workers_of(gateway)
        for worker in workers:
            async with only(worker, gateway):
                for _ in range(3):
                    await once(gateway.url, RELAYED)
        assert (await scraped(gateway))[RELAYS] == 6
        kill(workers[0], signal.SIGKILL)
        await gateway.until_told("another one starts")
        assert (await scraped(gateway))[RELAYS] == 6


async def test_what_a_worker_counted_to_its_end_stays_also_where_nobody_asked_before() -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, "--workers", "2") as gateway,
    ):
        worker, other = workers_of(gateway)
        async with only(worker, gateway):
            for _ in range(3):
                await once(gateway.url, RELAYED)
        kill(worker, signal.SIGTERM)
        await gateway.until_told("ended with status 0; another one starts")
        await until(lambda: len(workers_of(gateway)) == 2)
        assert other in workers_of(gateway)
        told = await scraped(gateway)
        assert told[RELAYS] == 3
        assert told[UPSTREAM_TIMES] == 3


async def test_worker_told_to_end_by_itself_is_replaced_after_it_has_finished(
    orchestrator: Orchestrator,
) -> None:
    orchestrator.faults.add(Fault.STALL, "/api/status")
    async with process_before(orchestrator.url, "--workers", "2") as gateway:
        worker, other = workers_of(gateway)
        async with only(worker, gateway), connected(gateway.url) as client:
            await client.send(RELAYED)
            await until(lambda: orchestrator.faults.stalled == 1)
            kill(worker, signal.SIGTERM)
            orchestrator.faults.clear()
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 200 ")
        await gateway.until_told("ended with status 0; another one starts")
        await until(lambda: len(workers_of(gateway)) == 2)
        assert other in workers_of(gateway)


async def test_no_worker_outlives_the_process_that_keeps_it() -> None:
    async with process_before("http://127.0.0.1:9", "--workers", "2") as gateway:
        workers = workers_of(gateway)
        gateway.running.kill()
        # The output ends when the last of them has.
        assert await gateway.ended() == -signal.SIGKILL
        await until(lambda: all(state(worker) in {"", "Z"} for worker in workers))
        with pytest.raises(ConnectionRefusedError):
            async with connected(gateway.url):
                pass
    assert "Traceback" not in gateway.told


@pytest.mark.parametrize("listener", ["listen", "admin"])
async def test_port_in_use_is_told_before_any_worker_starts(listener: str) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = str(taken.sockets[0].getsockname()[1])
    ports = {"listen__port": "0", "admin__port": "0", f"{listener}__port": port}
    async with (
        taken,
        process("--workers", "2", listen__host="127.0.0.1", coverage="on", **ports) as gateway,
    ):
        assert await gateway.ended() == 1
    warning, line = gateway.told.splitlines()
    assert warning.endswith(NOT_SHARED)
    assert "cannot listen" in line
    assert port in line


async def test_renewed_certificate_is_taken_up_by_every_worker(tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, "--workers", "2", coverage="on", **files.variables) as gateway,
    ):
        before = files.trusting()
        files.replace(self_signed(tmp_path, "renewed"))
        gateway.signal(signal.SIGHUP)
        await gateway.until_told("read again: listen.tls_cert_file, listen.tls_key_file")
        for worker in workers_of(gateway):
            async with only(worker, gateway):
                assert (await once(gateway.url, RELAYED, files.trusting()))[1] == b"ok"
                with pytest.raises(ssl.SSLCertVerificationError):
                    await once(gateway.url, RELAYED, before)
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert "Traceback" not in gateway.told


async def test_renewed_key_file_is_taken_up_by_every_worker(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    old, new = "old secret" * 5, "new secret" * 5
    file.write_text(old)
    messages = [
        b"GET /acme/job HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n"
        % signed(secret, org_uuid="acme")
        for secret in (old, new)
    ]
    given = {"identity__mode": "verify", "identity__secret_file": str(file)}
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, "--workers", "2", **given) as gateway,
    ):
        for content, told, expected in (
            ("", "all stays as it was", [200, 401]),
            (new, "read again: identity.secret_file", [401, 200]),
        ):
            file.write_text(content)
            gateway.signal(signal.SIGHUP)
            await gateway.until_told(told)
            for worker in workers_of(gateway):
                async with only(worker, gateway):
                    heads = [(await once(gateway.url, message))[0] for message in messages]
                    assert [int(head.split()[1]) for head in heads] == expected


async def test_worker_that_finds_no_key_says_so_and_the_others_go_on(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old secret" * 5)
    given = {"identity__mode": "verify", "identity__secret_file": str(file)}
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, "--workers", "2", coverage="on", **given) as gateway,
    ):
        file.unlink()
        kill(workers_of(gateway)[0], signal.SIGKILL)
        line = await gateway.until_told("cannot verify tokens")
        assert "identity.secret_file: No such file or directory" in line
        await gateway.until_told(" ended with status 1")
        assert (await once(gateway.url, RELAYED))[1] == b"ok"
    assert "Traceback" not in gateway.told


@pytest.mark.parametrize("to_file", [True, False])
async def test_lines_of_the_access_logs_are_never_mixed(tmp_path: Path, to_file: bool) -> None:
    target = b"/" + b"x" * 900
    request = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target
    log = tmp_path / "access.log"
    async with AsyncExitStack() as stack:
        script = await stack.enter_async_context(upstream_answering(OK))
        log_file = str(log) if to_file else ""
        gateway = await stack.enter_async_context(
            process_before(script.url, "--workers", "2", log_file=log_file)
        )

        async def load() -> None:
            async with connected(gateway.url) as client:
                for _ in range(40):
                    await client.send(request)
                    await client.answer()

        for worker in workers_of(gateway):
            async with only(worker, gateway):
                clients = [await stack.enter_async_context(connected(gateway.url)) for _ in "123"]
                for client in clients:
                    await client.send(request)
                    await client.answer()
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(load())
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    lines = (log.read_text() if to_file else gateway.logged).splitlines()
    assert len(lines) == 406
    assert len({json.loads(line)["request_id"] for line in lines}) == 406


async def test_connections_that_no_worker_has_taken_survive_the_death_of_one() -> None:
    async with (
        AsyncExitStack() as stack,
        upstream_answering(OK) as script,
        process_before(script.url, "--workers", "2", limits__mode="off") as gateway,
    ):
        workers = workers_of(gateway)
        for pid in workers:
            kill(pid, signal.SIGSTOP)
        clients = [await stack.enter_async_context(connected(gateway.url)) for _ in range(50)]
        for client in clients:
            await client.send(RELAYED)
        kill(workers[0], signal.SIGKILL)
        kill(workers[1], signal.SIGCONT)
        for client in clients:
            assert (await client.answer())[1] == b"ok"


async def test_workers_serve_on_for_a_moment_where_their_parent_is_killed() -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, "--workers", "2", limits__mode="off") as gateway,
    ):
        workers = workers_of(gateway)
        async with connected(gateway.url) as client:
            await client.send(RELAYED)
            assert (await client.answer())[1] == b"ok"
            gateway.signal(signal.SIGKILL)
            await until(lambda: state(gateway.running.pid) in {"", "Z"})
            # On the connection that was there, and on new ones.
            await client.send(RELAYED)
            assert (await client.answer())[1] == b"ok"
            for _ in range(10):
                assert (await once(gateway.url, RELAYED))[1] == b"ok"
            async with asyncio.timeout(10):
                await until(lambda: not any(state(pid) for pid in workers))
                assert await client.until_closed() == b""
