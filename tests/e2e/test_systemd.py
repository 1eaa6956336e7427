"""The gateway as a service of systemd: it gets its sockets, tells of itself, and is restarted."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server.test_server import free_port
from tests.support.harness import connected, once, program
from tests.support.processes import standing_still, workers_of
from tests.support.systemd import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.demo.orchestrator import Orchestrator

STATUS = b"GET /api/status HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    unit = Unit(tmp_path)
    yield unit
    unit.close()


def environment_of(pid: int) -> list[bytes]:
    """What a process was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


@WORKERS
async def test_sockets_are_taken_and_stay_open_while_processes_come_and_go(
    orchestrator: Orchestrator, unit: Unit, workers: str
) -> None:
    for _ in range(2):
        # There is no process, and the kernel keeps what comes.
        async with connected(unit.url) as early, connected(unit.admin_url) as operator:
            await early.send(STATUS)
            await operator.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with unit.started(orchestrator.url, "--workers", workers) as gateway:
                for client in (early, operator):
                    head, _ = await client.answer()
                    assert head.startswith(b"HTTP/1.1 200 ")
                for pid in [gateway.running.pid, *workers_of(gateway)]:
                    environment = environment_of(pid)
                    started_by_us = pid == gateway.running.pid
                    assert started_by_us is any(n.startswith(b"LISTEN_") for n in environment)
                    assert started_by_us is any(n.startswith(b"NOTIFY_") for n in environment)
                gateway.signal(signal.SIGTERM)
                assert await gateway.ended() == 0
                assert f"listening on {unit.url}, for operators on {unit.admin_url}" in gateway.told


async def test_idle_connection_is_left_to_the_next_process(
    orchestrator: Orchestrator, unit: Unit
) -> None:
    async with connected(unit.url) as client, connected(unit.url) as silent:
        for _ in range(2):
            async with unit.started(orchestrator.url) as gateway:
                await client.send(STATUS)
                head, _ = await client.answer()
                assert head.startswith(b"HTTP/1.1 200 ")
                assert b"\r\nConnection: close\r\n" not in head
                gateway.signal(signal.SIGTERM)
                assert await gateway.ended() == 0
        # There is no process.
        await client.send(STATUS)
        async with unit.started(orchestrator.url) as gateway:
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 200 ")
            gateway.signal(signal.SIGTERM)
            assert await gateway.ended() == 0
        async with unit.started(orchestrator.url, "--workers", "2"):
            assert await silent.until_closed() == b""


@WORKERS
async def test_each_change_is_told(orchestrator: Orchestrator, unit: Unit, workers: str) -> None:
    async with unit.started(orchestrator.url, "--workers", workers) as gateway:
        gateway.signal(signal.SIGHUP)
        assert int((await unit.told.until("RELOADING=1"))["MONOTONIC_USEC"]) > 0
        await unit.told.until("READY=1")
        gateway.signal(signal.SIGTERM)
        told = await unit.told.until("STOPPING=1")
        assert told["STATUS"] == "draining for at most 25 s"
        assert int(told["EXTEND_TIMEOUT_USEC"]) > 25_000_000
        assert await gateway.ended() == 0


async def test_watchdog_is_told_until_a_worker_hangs(
    orchestrator: Orchestrator, tmp_path: Path
) -> None:
    unit = Unit(tmp_path, watchdog_seconds=1.0)
    async with unit.started(orchestrator.url, "--workers", "2") as gateway:
        for _ in range(3):
            await unit.told.until("WATCHDOG=1")
        async with standing_still(workers_of(gateway)[1:]):
            assert await unit.told.until("STATUS=no answer of worker 2")
        assert await unit.told.next() == {"WATCHDOG": "1"}
        assert await unit.told.next() == {"STATUS": "all is well again"}
    unit.close()


@WORKERS
def test_sockets_that_are_of_no_use_end_the_start_with_status_1(workers: str) -> None:
    command = 'LISTEN_PID=$$ LISTEN_FDS=x exec "$0" -m gateway serve --workers "$1"'
    ended = subprocess.run(
        ["sh", "-c", command, sys.executable, workers],
        capture_output=True,
        text=True,
        check=False,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")},
            "GATEWAY_UPSTREAM__URL": "http://127.0.0.1:9",
        },
    )
    assert ended.returncode == 1
    assert "LISTEN_FDS is no number up to 2048" in ended.stderr


async def test_systemd_itself_hands_its_sockets_over(orchestrator: Orchestrator) -> None:
    ports = [free_port(), free_port()]
    listening = [option for port in ports for option in ("--listen", f"127.0.0.1:{port}")]
    passed = [option for name in ("PATH", "PYTHONPATH") for option in ("--setenv", name)]
    command = [sys.executable, "-m", "gateway", "serve", "--upstream", orchestrator.url]
    gateway = await asyncio.create_subprocess_exec(
        program("systemd-socket-activate"),
        *(*listening, *passed, "--fdname", "web:admin", *command),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert gateway.stderr is not None
    try:
        for _ in ports:
            assert b"Listening on " in await gateway.stderr.readline()
        for port, path in zip(ports, (b"/api/status", b"/live"), strict=True):
            request = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"
            head, _ = await once(f"http://127.0.0.1:{port}", request)
            assert head.startswith(b"HTTP/1.1 200 ")
    finally:
        # It has become the gateway.
        gateway.terminate()
        await gateway.communicate()
    assert gateway.returncode == 0
