"""What several workers share, as clients find it: connections and budgets."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import AsyncExitStack, ExitStack, contextmanager
from os import kill
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.harness import connected, curl, once, process_before
from tests.support.processes import sockets_of, standing_still, workers_of
from tests.support.replay import until
from tests.support.upstream import upstream_answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.harness import Process, RawClient

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="this system does not tell a process's sockets"
)
NOWHERE = "http://127.0.0.1:9"
COUNT = 64
REPETITIONS = 20
BURST = 20
LIMITED = {
    "limits__mode": "enforce",
    "limits__anonymous_share": "1.0",
    "limits__other__per_second": "0.01",
    "limits__other__burst": str(BURST),
}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WITH_TOKEN = b"GET /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token\r\n\r\n"


@contextmanager
def opened_at_once(gateway: Process, count: int) -> Iterator[None]:
    """Connections that are kept."""
    address = urlsplit(gateway.url)
    clients = [socket.socket() for _ in range(count)]
    try:
        for client in clients:
            client.setblocking(False)
            client.connect_ex((address.hostname, address.port))
        yield
    finally:
        for client in clients:
            client.close()


class Shares:
    """How many clients' connections each worker has."""

    def __init__(self, gateway: Process) -> None:
        self._without = {worker: len(sockets_of(worker)) for worker in workers_of(gateway)}

    def by_worker(self) -> dict[int, int]:
        return {worker: len(sockets_of(worker)) - count for worker, count in self._without.items()}

    def now(self) -> list[int]:
        return list(self.by_worker().values())

    async def of(self, count: int) -> list[int]:
        """As soon as there are so many in all."""
        await until(lambda: sum(self.now()) == count)
        return self.now()


async def until_live(gateway: Process) -> None:
    """Wait until every worker takes connections."""
    for _ in range(1000):
        [live] = await curl(f"{gateway.admin_url}/live")
        if live.status == 200:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


@pytest.mark.parametrize("workers", [2, 4])
async def test_connections_that_come_at_once_are_shared_out_evenly(workers: int) -> None:
    async with process_before(NOWHERE, "--workers", str(workers)) as gateway:
        shares = Shares(gateway)
        found = []
        for _ in range(REPETITIONS):
            with opened_at_once(gateway, COUNT):
                found.append(await shares.of(COUNT))
            await shares.of(0)
    uneven = [share for share in found if max(share) > 2 * min(share)]
    # A worker that the system does not let run for long is not waited for.
    assert len(uneven) <= 1, found


@pytest.mark.parametrize("workers", [2, 4])
async def test_connections_that_come_one_by_one_are_shared_out_evenly(workers: int) -> None:
    async with process_before(NOWHERE, "--workers", str(workers)) as gateway:
        shares = Shares(gateway)
        share: list[int] = []
        with ExitStack() as stack:
            for count in range(1, COUNT + 1):
                stack.enter_context(opened_at_once(gateway, 1))
                share = await shares.of(count)
    assert max(share) <= 2 * min(share)


async def test_new_worker_gets_its_share_of_the_connections_that_come_after_it() -> None:
    async with process_before(NOWHERE, "--workers", "2") as gateway:
        killed, other = workers_of(gateway)
        with opened_at_once(gateway, COUNT):
            kill(killed, signal.SIGKILL)
            await gateway.until_told("another one starts")
            await until(lambda: len(workers_of(gateway)) == 2)
            await until_live(gateway)
            shares = Shares(gateway)
            with opened_at_once(gateway, COUNT):
                await shares.of(COUNT)
                share = shares.by_worker()
    del share[other]
    # The older one has kept half of the first connections.
    assert COUNT / 2 <= min(share.values()) <= COUNT


@pytest.mark.parametrize("workers", [2, 4])
async def test_one_token_has_one_budget_at_all_workers(workers: int) -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, "--workers", str(workers), **LIMITED) as gateway,
        AsyncExitStack() as stack,
    ):
        shares = Shares(gateway)
        clients = [await stack.enter_async_context(connected(gateway.url)) for _ in range(16)]
        assert min(await shares.of(len(clients))) > 0
        statuses: list[int] = []

        async def ask(client: RawClient) -> None:
            for _ in range(4):
                await client.send(WITH_TOKEN)
                head, _ = await client.answer()
                statuses.append(int(head.split()[1]))

        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(ask(client))
    assert (statuses.count(200), statuses.count(429)) == (BURST, 4 * len(clients) - BURST)


async def test_what_a_killed_worker_has_let_pass_counts_on() -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, "--workers", "2", **LIMITED) as gateway,
    ):
        killed, other = workers_of(gateway)
        async with standing_still([other]):
            for _ in range(BURST - 1):
                assert (await once(gateway.url, WITH_TOKEN))[1] == b"ok"
        kill(killed, signal.SIGKILL)
        await gateway.until_told("another one starts")
        assert (await once(gateway.url, WITH_TOKEN))[1] == b"ok"
        await until_live(gateway)
        for _ in range(10):
            head, _ = await once(gateway.url, WITH_TOKEN)
            assert head.startswith(b"HTTP/1.1 429 ")
