"""Requests that turn out not to be HTTP: answered as far as they can be, at once."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from gateway.config.timing import Timing
from gateway.downstream.listening.sockets import url_of
from tests.support.certificates import self_signed
from tests.support.harness import (
    RawClient,
    connected,
    gateway_before,
    gateway_timed,
    once,
    settings,
)
from tests.support.replay import until
from tests.support.upstream import Peer, upstream_answering, upstream_doing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("start", [b"PUT /", b"POST /job?wait_result=true", b"POST /job"])
@pytest.mark.parametrize("rest", [b"zz\r\n", b"-1\r\n", b"2\r\nabc\r\n"])
async def test_content_that_is_not_framed_as_it_says_is_refused_at_once(
    start: bytes, rest: bytes
) -> None:
    dropped = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()
        dropped.set()

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(start + CHUNKED)
        await asyncio.sleep(0.02)
        await client.send(rest)
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"\r\nConnection: close\r\n" in head
        assert await client.until_closed() == b""
        if script.connections:
            async with asyncio.timeout(5):
                await dropped.wait()


async def test_garbage_behind_a_whole_request_is_answered_after_it() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.reader.readexactly(2)
        await asyncio.sleep(0.04)
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
        await asyncio.sleep(0.01)
        await client.send(b"garbage\r\n\r\n")
        assert (await client.answer())[1] == b"ok"
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert await client.until_closed() == b""


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
SMALL = {"target_bytes": 4096, "fields_bytes": 8192}


async def endless(client: RawClient, piece: bytes) -> int:
    """How many bytes the gateway takes before it answers or closes."""
    sent = 0
    with suppress(ConnectionError):
        while sent < 100_000:
            await client.send(piece)
            sent += len(piece)
            await asyncio.sleep(0.001)
            if client.reader._buffer or client.reader.at_eof():  # type: ignore[attr-defined]
                break
    return sent


@pytest.mark.parametrize("whole", [b"", HEAD + b"\r\n"])
async def test_fields_without_end_are_refused_as_soon_as_they_are_too_many(whole: bytes) -> None:
    async with (
        upstream_answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as script,
        gateway_before(script.url, limits=SMALL) as server,
        connected(server.url) as client,
    ):
        await client.send(whole)
        if whole:
            await client.answer()
        await client.send(HEAD)
        assert await endless(client, b"X-A: " + b"a" * 1000 + b"\r\n") < 16_000
        head, content = await client.answer()
        assert head.startswith(b"HTTP/1.1 431 ")
        assert b"have more than 8192 bytes" in content
        assert await client.until_closed() == b""


@pytest.mark.parametrize("piece", [b"X-A: " + b"a" * 1000 + b"\r\n", b"a: b\r\n" * 50])
async def test_trailers_without_end_are_refused(piece: bytes) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, limits=SMALL) as server,
        connected(server.url) as client,
    ):
        await client.send(b"PUT /" + CHUNKED + b"2\r\nok\r\n0\r\n")
        assert await endless(client, piece) < 20_000
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 400 ")


async def test_fields_behind_a_request_that_is_being_answered_are_bounded_too() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await release.wait()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, limits=SMALL) as server,
        connected(server.url) as client,
    ):
        await client.send(HEAD + b"\r\n")
        await asked.wait()
        await client.send(HEAD)
        for _ in range(40):
            await client.send(b"X-A: " + b"a" * 1000 + b"\r\n")
            await asyncio.sleep(0.001)
        release.set()
        assert (await client.answer())[1] == b"ok"
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "framed", [b"Content-Length: %d\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"]
)
async def test_content_of_any_length_and_pace_is_no_head(framed: bytes) -> None:
    total = 3 * 200_000

    async def serve(peer: Peer) -> None:
        await peer.request()
        taken = 0
        while taken < total:
            taken += len(await peer.reader.read(65_536))
            await asyncio.sleep(0.001)
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with (
        upstream_doing(serve) as script,
        gateway_before(
            script.url, limits={**SMALL, "target_bytes": 1024, "fields_bytes": 1024}
        ) as server,
        connected(server.url) as client,
    ):
        sized = b"Content-Length" in framed
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\n" + (framed % total if sized else framed))
        for _ in range(3):
            piece = b"a" * 200_000
            await client.send(piece if sized else b"%x\r\n%b\r\n" % (len(piece), piece))
        await client.send(b"" if sized else b"0\r\n\r\n")
        assert (await client.answer())[1] == b"ok"


@pytest.mark.parametrize(
    ("target", "value", "status"), [(b"/" * 5000, b"a", 414), (b"/", b"a" * 5000, 431)]
)
async def test_what_is_too_long_is_named_also_where_both_bounds_are_the_same(
    target: bytes, value: bytes, status: int
) -> None:
    same = {"target_bytes": 4096, "fields_bytes": 4096}
    async with gateway_before("http://127.0.0.1:1", limits=same) as server:
        message = b"GET %b HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % (target, value)
        head, _ = await once(server.url, message)
    assert head.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("start", [b"PUT /", b"POST /job?wait_result=true"])
async def test_content_that_went_wrong_while_its_request_had_to_wait_is_refused_at_once(
    start: bytes,
) -> None:
    asked, goes_on = asyncio.Event(), asyncio.Event()

    async def serve(peer: Peer) -> None:
        while await peer.request():
            asked.set()
            await goes_on.wait()
            await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + start + CHUNKED)
        await asked.wait()
        await client.send(b"zz\r\n")
        await asyncio.sleep(0.02)
        goes_on.set()
        assert (await client.answer())[1] == b"ok"
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert await client.until_closed() == b""


async def test_connection_without_a_place_is_told_so_and_counted_as_nobody_s() -> None:
    limits = {"mode": "enforce", "connections_per_address": 1}
    async with gateway_before("http://127.0.0.1:9", limits=limits) as server:
        gateway = server._gateway
        refusing = await asyncio.get_running_loop().create_server(
            gateway.listener.refuse, "127.0.0.1", 0
        )
        url = url_of(refusing.sockets[0].getsockname())
        async with refusing, connected(url) as client:
            await until(lambda: gateway.places.refusing == 1)
            assert gateway.places.taken == 0
            await client.send(HEAD + b"\r\n")
            head, content = await client.answer()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 1\r\n" in head
            assert b"\r\nConnection: close\r\n" in head
            assert b"No more clients can be let in" in content
            assert await client.until_closed() == b""
        async with connected(server.url) as client:
            await client.send(HEAD + b"\r\n")
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 502 ")
            assert (gateway.places.refusing, gateway.places.taken) == (0, 1)


async def test_where_places_are_short_who_is_about_to_come_back_keeps_its_connection() -> None:
    redirect = b"HTTP/1.1 303 See Other\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
    asked, release = asyncio.Event(), asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(redirect)
        await peer.request()
        asked.set()
        await release.wait()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with (
        upstream_doing(serve) as script,
        gateway_timed(Timing(spare_seconds=0.0), script.url) as server,
        connected(server.url) as client,
        connected(server.url) as idle,
    ):
        gateway = server._gateway
        await until(lambda: gateway.places.taken == 2)
        gateway.places.are_short = True
        await client.send(HEAD + b"\r\n")
        head, _ = await client.answer()
        assert b"Connection: close" not in head
        await client.send(HEAD + b"\r\n")
        await asked.wait()
        gateway.listener.close_idle()
        assert await idle.until_closed() == b""
        release.set()
        head, content = await client.answer()
        assert content == b"ok"
        assert b"\r\nConnection: close\r\n" in head


async def test_other_terms_count_on_open_connections_from_their_next_request_on() -> None:
    long = b"GET /" + b"a" * 1500 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with (
        upstream_answering(ok) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(long)
        assert (await client.answer())[1] == b"ok"
        shorter = settings(
            script.url, limits={"target_bytes": 1024}, listen={"keepalive_seconds": 0.02}
        )
        await server.take(shorter)
        await asyncio.sleep(0.04)
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.answer())[1] == b"ok", "it is kept as long as it was to be"
        assert await client.until_closed() == b"", "and after this request as the settings have it"
        head, _ = await once(server.url, long)
        assert head.startswith(b"HTTP/1.1 414 ")


async def test_limits_can_be_switched_off_and_on_under_way() -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        arrived.set()
        await release.wait()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    get = b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer unknown\r\n\r\n"
    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, limits={"mode": "enforce"}) as server,
        connected(server.url) as first,
        connected(server.url) as second,
    ):
        await first.send(get)
        await arrived.wait()
        # It waits for what the first one tells of the token.
        await second.send(get)
        await asyncio.sleep(0.02)
        await server.take(settings(script.url, limits={"mode": "off"}))
        release.set()
        assert (await first.answer())[1] == b"ok"
        assert (await second.answer())[1] == b"ok"
        await server.take(
            settings(script.url, limits={"mode": "enforce", "connections_per_address": 1})
        )
        async with connected(server.url) as third, connected(server.url) as fourth:
            await third.send(get)
            await fourth.send(get)
            heads = {(await third.answer())[0][:12], (await fourth.answer())[0][:12]}
        assert b"HTTP/1.1 429" in heads


@pytest.mark.parametrize("is_taken", [True, False])
async def test_connections_on_which_nothing_is_asked_are_given_away_and_no_others(
    is_taken: bool,
) -> None:
    given: list[int] = []

    def store(descriptors: Sequence[int]) -> int:
        given.extend(map(os.dup, descriptors))
        return len(descriptors) if is_taken else 0

    async with (
        upstream_answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as script,
        gateway_before(script.url) as server,
        connected(server.url) as idle,
        connected(server.url) as begun,
    ):
        await idle.send(GET)
        assert (await idle.answer())[1] == b"ok"
        await begun.send(GET[:9])
        await asyncio.sleep(0.02)
        server.hand_over(store)
        [number] = given
        with socket.socket(fileno=number) as sock:
            sock.setblocking(False)
            await idle.send(GET)
            if is_taken:
                assert await asyncio.get_running_loop().sock_recv(sock, 1000) == GET
            else:
                assert (await idle.answer())[1] == b"ok"
            await begun.send(GET[9:])
            assert (await begun.answer())[1] == b"ok"


async def test_connections_that_are_not_taken_any_more_stay() -> None:
    given: list[int] = []

    def store(descriptors: Sequence[int]) -> int:
        given.extend(map(os.dup, descriptors))
        return 1

    async with (
        upstream_answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as script,
        gateway_before(script.url) as server,
        connected(server.url) as one,
        connected(server.url) as other,
    ):
        for client in (one, other):
            await client.send(GET)
            assert (await client.answer())[1] == b"ok"
        server.hand_over(store)
        taken, left = (socket.socket(fileno=number) for number in given)
        clients = {each.writer.get_extra_info("sockname"): each for each in (one, other)}
        with taken, left:
            kept = clients[left.getpeername()]
            await kept.send(GET)
            assert (await kept.answer())[1] == b"ok"
            await clients[taken.getpeername()].send(GET)
            taken.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(taken, 1000) == GET


async def test_connection_of_tls_cannot_be_given_away(tmp_path: Path) -> None:
    given: list[int] = []

    def store(descriptors: Sequence[int]) -> int:
        given.extend(descriptors)
        return len(descriptors)

    files = self_signed(tmp_path)
    listen = {"tls_cert_file": str(files.cert), "tls_key_file": str(files.key)}
    async with (
        gateway_before("http://127.0.0.1:9", listen=listen) as server,
        connected(server.url, files.trusting()),
    ):
        server.hand_over(store)
    assert given == []
