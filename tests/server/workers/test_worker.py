"""One worker as a process, at the end of a channel that the test holds."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from gateway.downstream.listening.sockets import bound, url_of
from gateway.ops.operators.health import Readiness
from gateway.server.workers.certificates import Certificates
from gateway.server.workers.channel import (
    Channel,
    Message,
    Order,
    Question,
    Refusal,
    Start,
    WorkerReply,
    WorkerSettings,
)
from gateway.server.workers.worker import DRAIN_SECONDS, LAST_SECONDS, OUTLIVE_SECONDS, Worker
from gateway.tasks import Tasks
from tests.support.harness import connected, once, readable, settings
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.config import Config
    from gateway.server.server import Server

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
NOWHERE = "http://127.0.0.1:9"


class Running:
    def __init__(self, process: asyncio.subprocess.Process, channel: Channel, url: str) -> None:
        self.process = process
        self.channel = channel
        self.url = url

    async def ask(self, question: Question, kind: Any, config: Config | None = None) -> Any:
        given = None if config is None else WorkerSettings(config)
        self.channel.send(Message(question, settings=given))
        async with asyncio.timeout(15):
            reply = await self.channel.receive(WorkerReply)
        assert reply is not None
        assert reply.to is question
        return msgspec.json.decode(reply.content, type=kind)

    async def ended(self) -> tuple[int | None, str]:
        """Its exit status, and what it said."""
        async with asyncio.timeout(15):
            _, told = await self.process.communicate()
        lines = told.decode().splitlines(keepends=True)
        return self.process.returncode, "".join(map(readable, lines))


@asynccontextmanager
async def worker(config: Config, *, is_told_to_start: bool = True) -> AsyncIterator[Running]:
    ours, theirs = socket.socketpair()
    [sock] = await bound("127.0.0.1", 0)
    with sock, theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.server.workers.worker", str(theirs.fileno())),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=[theirs.fileno(), sock.fileno()],
        )
        channel = await Channel.over(ours)
        if is_told_to_start:
            channel.send(Start(3, [sock.fileno()], WorkerSettings(config)))
        url = url_of(sock.getsockname())
    try:
        yield Running(process, channel, url)
    finally:
        channel.close()
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def test_worker_serves_on_the_socket_it_is_given_and_answers_its_supervisor() -> None:
    async with worker(settings(NOWHERE)) as running:
        assert await running.ask(Question.LIVE, str) == ""
        head, _ = await once(running.url, GET)
        assert head.startswith(b"HTTP/1.1 502 ")
        readiness = await running.ask(Question.READY, Readiness)
        assert readiness.reason == "upstream unreachable"
        page = await running.ask(Question.METRICS, str)
        assert 'gateway_requests_total{kind="relay",method="GET",status="5xx"} 1.0' in page
        assert page.endswith("# EOF\n")
        running.channel.send(Message(order=Order.DRAIN))
        assert await running.ended() == (0, "")


async def test_worker_ends_when_its_supervisor_does() -> None:
    async with worker(settings(NOWHERE)) as running:
        await running.ask(Question.LIVE, str)
        async with connected(running.url) as client:
            running.channel.close()
            # It serves on as long as it is there.
            await client.send(GET)
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 502 ")
            status, told = await running.ended()
            assert await client.until_closed() == b""
    assert status == 0
    assert "worker 3: its supervisor has ended, so this worker ends soon\n" in told


class Busy:
    """A server that is always answering something."""

    is_draining = False

    async def until_quiet(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def drain(self) -> None:
        self.is_draining = True
        await asyncio.sleep(3600)


class Ended:
    """The channel of a supervisor that has ended."""

    async def receive(self, _: type[Message]) -> None: ...


@pytest.mark.virtual_time
@pytest.mark.parametrize("is_told_to_end", [False, True])
async def test_worker_without_a_supervisor_ends_within_ten_seconds_whatever_keeps_it(
    is_told_to_end: bool,
) -> None:
    alarms: list[int] = []
    server, tasks = Busy(), Tasks()
    channel, certificates = cast("Channel", Ended()), Certificates((), 0)
    worker = Worker(channel, cast("Server", server), tasks, certificates, alarms.append)
    if is_told_to_end:
        worker._leaving.set()
    tasks.spawn(worker.obey(), name="obey")
    ended = tasks.spawn(worker.until_ended(), name="end")
    await asyncio.sleep(OUTLIVE_SECONDS - 0.1)
    assert server.is_draining is is_told_to_end
    await asyncio.sleep(0.2)
    assert server.is_draining
    assert not ended.done()
    await ended
    assert now() == OUTLIVE_SECONDS + DRAIN_SECONDS
    await tasks.aclose()
    # The last resort is not taken before that, and not long after.
    assert alarms == [LAST_SECONDS]
    assert OUTLIVE_SECONDS + DRAIN_SECONDS < LAST_SECONDS < 10


async def test_worker_that_is_never_told_to_start_ends_with_its_supervisor() -> None:
    async with worker(settings(NOWHERE), is_told_to_start=False) as running:
        running.channel.close()
        assert await running.ended() == (0, "")


async def test_signals_repeated_to_the_whole_group_let_it_finish() -> None:
    async def stalled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    arrived, release = asyncio.Event(), asyncio.Event()
    upstream = await asyncio.start_server(stalled, "127.0.0.1", 0)
    url = url_of(upstream.sockets[0].getsockname())
    async with upstream, worker(settings(url)) as running:
        await running.ask(Question.LIVE, str)
        async with connected(running.url) as client:
            await client.send(GET)
            await arrived.wait()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
                running.process.send_signal(number)
                # It has been taken once the next question is answered.
                await running.ask(Question.LIVE, str)
            assert (await running.ask(Question.READY, Readiness)).reason == "draining"
            release.set()
            head, content = await client.answer()
        assert b"\r\nConnection: close\r\n" in head
        assert content == b"ok"
        assert await running.ended() == (0, "")


async def test_what_a_worker_says_has_its_number() -> None:
    async with worker(settings(NOWHERE, log={"level": "info"})) as running:
        await running.ask(Question.LIVE, str)
        identity = {"mode": "verify", "secret_file": "/missing"}
        wrong = settings(NOWHERE, identity=identity)
        refusal = await running.ask(Question.PREPARE, Refusal, wrong)
        assert refusal.problems == ["identity.secret_file: No such file or directory"]
        running.channel.send(Message(order=Order.REFUSED))
        page = await running.ask(Question.METRICS, str)
        assert 'gateway_reloads_total{verdict="refused"} 1.0' in page
        running.channel.send(Message(order=Order.RELOAD, settings=WorkerSettings(wrong)))
        status, told = await running.ended()
    assert status == 0
    assert told.endswith(
        "ERROR gateway: worker 3: cannot go on by other settings:"
        " identity.secret_file: No such file or directory\n"
    )


async def test_worker_goes_on_by_other_settings_when_it_is_told_so() -> None:
    async with worker(settings(NOWHERE)) as running:
        await running.ask(Question.LIVE, str)
        other = settings(NOWHERE, limits={"target_bytes": 1024})
        target = b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        assert await running.ask(Question.PREPARE, Refusal, other) == Refusal()
        assert (await once(running.url, target))[0].startswith(b"HTTP/1.1 502 ")
        assert await running.ask(Question.TAKE, Refusal, other) == Refusal()
        assert (await once(running.url, target))[0].startswith(b"HTTP/1.1 414 ")
        running.process.send_signal(signal.SIGHUP)
        assert await running.ask(Question.LIVE, str) == ""
        running.channel.send(Message(order=Order.STOP))
        assert await running.ended() == (0, "")


async def test_certificate_that_has_become_unusable_is_told() -> None:
    listen = {"tls_cert_file": "/missing.crt", "tls_key_file": "/missing.key"}
    async with worker(settings(NOWHERE, listen=listen)) as running:
        status, told = await running.ended()
    assert status == 1
    assert told.endswith('worker 3: cannot listen: "/missing.crt": No such file or directory\n')
