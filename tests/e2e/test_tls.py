"""TLS on the client port: the gateway as a process, with curl and raw clients."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from gateway.config.timing import Timing
from gateway.demo.faults import FaultKind as Fault
from tests.support.certificates import self_signed
from tests.support.harness import (
    connected,
    curl,
    gateway_timed,
    once,
    process,
    process_before,
)
from tests.support.upstream import Peer, upstream_answering, upstream_doing

if TYPE_CHECKING:
    from gateway.demo.orchestrator import Orchestrator
    from tests.support.certificates import Files

GET = b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SIZE = 64 * 1024 * 1024
GROWTH_KIB = 16 * 1024


def blocking(url: str, files: Files) -> ssl.SSLSocket:
    """A connection that tells a clean end from one that is none."""
    host, port = url.removeprefix("https://").split(":")
    return files.trusting().wrap_socket(
        socket.create_connection((host, int(port)), 5),
        server_hostname=host,
        suppress_ragged_eofs=False,
    )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return self_signed(tmp_path)


async def test_curl_waits_for_a_job_over_tls(orchestrator: Orchestrator, files: Files) -> None:
    task = orchestrator.tasks["hello"].id
    token = orchestrator.tokens["acme-user"]
    async with process_before(orchestrator.url, **files.variables) as gateway:
        created, result = await curl(
            *("--cacert", str(files.cert), "--location", "--data", "[]"),
            f"{gateway.url}/task/{task}/job?access_token={token}&wait_result=true&parse",
        )
        assert gateway.url.startswith("https://")
    assert (created.status, result.status) == (303, 200)
    assert created["Location"].startswith("/job/")
    assert result.content == b'{"message":"Hello world!"}'


async def test_upstream_is_told_that_the_client_came_over_tls(files: Files) -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, **files.variables) as gateway,
        connected(gateway.url, files.trusting()) as client,
    ):
        for _ in range(2):
            await client.send(GET)
            head, content = await client.answer()
            assert head.startswith(b"HTTP/1.1 200 ")
            assert content == b"ok"
    assert all(b"\r\nX-Forwarded-Proto: https\r\n" in head for head in script.heads)
    assert len(script.heads) == 2


async def test_websocket_passes_over_tls(files: Files) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        messages = web.WebSocketResponse()
        await messages.prepare(request)
        async for message in messages:
            await messages.send_str(message.data)
        return messages

    app = web.Application()
    app.router.add_get("/echo", echo)
    async with (
        TestServer(app) as upstream,
        process_before(str(upstream.make_url("")).rstrip("/"), **files.variables) as gateway,
        ClientSession() as session,
        session.ws_connect(f"{gateway.url}/echo", ssl=files.trusting()) as messages,
    ):
        for text in ("hi", "ñ" * 100_000):
            await messages.send_str(text)
            assert await messages.receive_str(timeout=5) == text


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_answer_cut_in_the_middle_cannot_be_taken_for_complete(
    orchestrator: Orchestrator, files: Files, version: bytes
) -> None:
    orchestrator.faults.add(Fault.CUT, "/acme/job")
    token = orchestrator.tokens["acme-user"].encode()
    async with (
        process_before(orchestrator.url, **files.variables) as gateway,
        connected(gateway.url, files.trusting()) as client,
    ):
        target = b"/acme/job?access_token=" + token
        await client.send(b"GET %b %b\r\nHost: gateway.test\r\n\r\n" % (target, version))
        with pytest.raises((ConnectionResetError, ssl.SSLError)):
            await client.until_closed()
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert '"outcome":"cut"' in gateway.logged
    assert "Traceback" not in gateway.told


async def test_answer_that_ends_with_the_connection_ends_cleanly(files: Files) -> None:
    unsized = b"HTTP/1.1 200 OK\r\n\r\nall of it"
    async with (
        upstream_answering(unsized, close=True) as script,
        process_before(script.url, **files.variables) as gateway,
    ):

        def received() -> bytes:
            with blocking(gateway.url, files) as client:
                client.sendall(GET.replace(b"1.1", b"1.0"))
                content = b""
                while piece := client.recv(65536):
                    content += piece
                return content

        assert (await asyncio.to_thread(received)).endswith(b"\r\n\r\nall of it")


async def test_client_that_ends_tls_is_answered_the_same_way(files: Files) -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, **files.variables) as gateway,
    ):

        def ended() -> None:
            with blocking(gateway.url, files) as client:
                client.sendall(GET)
                assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
                client.unwrap()

        await asyncio.to_thread(ended)
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert "Traceback" not in gateway.told


async def test_clients_that_speak_no_tls_or_break_off_cost_a_line_of_debugging_at_most(
    files: Files,
) -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, log__level="debug", **files.variables) as gateway,
    ):
        for nonsense in (GET, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\0" * 100_000):
            async with connected(gateway.url) as client:
                await client.send(nonsense)
                with suppress(ConnectionResetError):
                    assert b"HTTP" not in await client.until_closed()
            failed = await gateway.until_told("a client's TLS handshake failed")
            assert "DEBUG" in failed
        async with connected(gateway.url, files.trusting()) as client:
            await client.send(GET)
            await client.answer()
        with pytest.raises(ssl.SSLCertVerificationError):
            async with connected(gateway.url, ssl.create_default_context()):
                pass
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert "Traceback" not in gateway.told
    assert not re.search("ERROR|WARNING|asyncio", gateway.told)


async def test_server_name_that_is_no_name_is_no_reason_for_a_traceback(files: Files) -> None:
    hello = ssl.MemoryBIO()
    client_side = files.trusting().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client_side.do_handshake()
    async with process_before("http://127.0.0.1:9", **files.variables) as gateway:
        async with connected(gateway.url) as client:
            await client.send(hello.read().replace(b"localhost", b"\xff\xfe\r\n\x1b[31m"))
            await client.reader.read(1)
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert len(gateway.told.splitlines()) == 3


async def test_client_that_never_completes_its_handshake_is_cut(files: Files) -> None:
    listen = {"tls_cert_file": str(files.cert), "tls_key_file": str(files.key)}
    short = Timing(handshake_seconds=0.02)
    async with (
        gateway_timed(short, "http://127.0.0.1:9", listen=listen) as server,
        connected(server.url) as client,
    ):
        await client.send(b"\x16\x03\x01")
        with suppress(ConnectionResetError):
            assert await client.until_closed() == b""


async def test_renewed_certificate_is_taken_up_on_sighup_and_an_unusable_one_is_not(
    files: Files, tmp_path: Path
) -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, coverage="on", **files.variables) as gateway,
        connected(gateway.url, before := files.trusting()) as kept,
    ):
        files.key.write_text("no key")
        gateway.signal(signal.SIGHUP)
        line = await gateway.until_told("all stays as it was")
        assert f'"{files.key}": no key in it' in line
        await once(gateway.url, GET, before)

        files.replace(self_signed(tmp_path, "renewed", rsa_bits=2048))
        gateway.signal(signal.SIGHUP)
        await gateway.until_told("read again: listen.tls_cert_file, listen.tls_key_file")
        await once(gateway.url, GET, files.trusting())
        with pytest.raises(ssl.SSLCertVerificationError):
            await once(gateway.url, GET, before)

        await kept.send(GET)
        assert (await kept.answer())[1] == b"ok"
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert "Traceback" not in gateway.told


async def test_sighup_does_not_end_a_gateway_without_a_certificate() -> None:
    async with (
        upstream_answering(OK) as script,
        process_before(script.url, coverage="on") as gateway,
    ):
        gateway.signal(signal.SIGHUP)
        await gateway.until_told("reloaded (SIGHUP): nothing has changed")
        assert (await once(gateway.url, GET))[1] == b"ok"


async def test_unusable_certificate_is_told_at_the_start(files: Files) -> None:
    files.key.write_text("no key")
    async with process(coverage="on", **files.variables) as gateway:
        assert await gateway.ended() == 1
    assert gateway.told == (
        "theeye-sync-gateway: GATEWAY_LISTEN__TLS_CERT_FILE: listen.tls_cert_file,"
        f' listen.tls_key_file: "{files.key}": no key in it\n'
    )


def peak_kib(pid: int) -> int:
    """The most that the process has had resident so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system has no /proc")
async def test_large_transfers_with_a_slow_receiver_take_constant_memory(files: Files) -> None:
    block = b"x" * (1 << 18)

    async def serve(peer: Peer) -> None:
        head = await peer.request()
        if head.startswith(b"PUT"):
            await asyncio.sleep(0.05)
            received = 0
            while received < SIZE:
                received += len(await peer.reader.read(1 << 20))
            await peer.answer(OK)
            return
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // len(block)):
            await peer.answer(block)

    async with (
        upstream_doing(serve) as script,
        process_before(script.url, **files.variables) as gateway,
        connected(gateway.url, files.trusting()) as client,
    ):
        before = peak_kib(gateway.running.pid)
        await client.send(GET)
        await client.head()
        await asyncio.sleep(0.05)
        received = 0
        while received < SIZE:
            received += len(await client.reader.read(1 << 20))
        put = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE
        await client.send(put)
        for _ in range(SIZE // len(block)):
            await client.send(block)
        assert (await client.answer())[1] == b"ok"
        assert peak_kib(gateway.running.pid) - before < GROWTH_KIB
