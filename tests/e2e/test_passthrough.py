"""What the gateway does not handle leaves as it came: seen from both ends, on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import re
import resource
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.harness import RawClient, connected, curl, gateway_before
from tests.support.replay import until
from tests.support.upstream import Peer, Script, upstream_answering, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def passing_to(
    *answers: bytes, close: bool = False, **sections: dict[str, Any]
) -> AsyncIterator[tuple[Script, RawClient]]:
    """A gateway before an upstream that gives ``answers``, and a connection to it."""
    async with (
        upstream_answering(*answers, close=close) as script,
        gateway_before(script.url, **sections) as server,
        connected(server.url) as client,
    ):
        yield script, client


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes, content: bytes = b"") -> bytes:
    return b"\r\n".join([line, b"Host: gateway.test", *fields, b"", content])


def fields_of(head: bytes) -> list[bytes]:
    return head.split(b"\r\n")[1:-2]


async def test_rfc_9110_5_3_field_lines_keep_their_order_case_and_number() -> None:
    response = (
        b"HTTP/1.1 299 Rather Fine\r\nServer: restify\r\nSet-Cookie: a=1\r\nx-UPPER: 1\r\n"
        b"Set-Cookie: b=2\r\nContent-Length: 2\r\nX-Upper: 2\r\nKeep-Alive: timeout=5\r\n\r\nok"
    )
    async with passing_to(response) as (script, client):
        await client.send(request(b"GET /a HTTP/1.1", b"X-A: 1", b"x-a: 2", b"X-B: ", b"X-A: 3"))
        head, content = await client.answer()
    assert fields_of(script.heads[0])[1:5] == [b"X-A: 1", b"x-a: 2", b"X-B: ", b"X-A: 3"]
    assert head == response.replace(b"Keep-Alive: timeout=5\r\n", b"").removesuffix(b"ok")
    assert content == b"ok"


async def test_rfc_9110_7_6_1_hop_by_hop_fields_and_what_connection_names_go() -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTrailer: X\r\n"
        b"Content-Length: 2\r\n\r\nok"
    )
    hop_by_hop = [
        b"Connection: keep-alive, x-secret",
        b"X-Secret: 1",
        b"TE: trailers",
        b"Proxy-Authorization: Basic eA==",
        b"Keep-Alive: 5",
        b"X-Kept: 1",
    ]
    async with passing_to(response) as (script, client):
        await client.send(request(b"GET / HTTP/1.1", *hop_by_hop))
        head, _ = await client.answer()
    names = {line.partition(b":")[0].lower() for line in fields_of(script.heads[0])}
    assert names == {
        b"host",
        b"x-kept",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"x-request-id",
    }
    assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


TARGETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"))


@given(rest=TARGETS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_target_arrives_as_sent(rest: str) -> None:
    async def check() -> None:
        async with passing_to(OK) as (script, client):
            await client.send(request(b"GET /%b HTTP/1.1" % rest.encode()))
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 200")
            assert script.heads[0].startswith(b"GET /%b HTTP/1.1\r\n" % rest.encode())

    asyncio.run(check())


@pytest.mark.parametrize(
    "target", ["//evil/x", "/a/../b", "/a%2fb%00?x=%zz&&=;", "/?a=b?c", "/" + "x" * 8000]
)
async def test_odd_targets_pass_untouched(target: str) -> None:
    async with passing_to(OK) as (script, client):
        await client.send(request(b"PROPFIND %b HTTP/1.1" % target.encode()))
        assert (await client.answer())[1] == b"ok"
        assert script.heads[0].startswith(b"PROPFIND %b HTTP/1.1\r\n" % target.encode())


async def test_rfc_9112_3_2_2_our_own_absolute_form_becomes_origin_form() -> None:
    async with passing_to(OK) as (script, client):
        await client.send(request(b"GET http://Gateway.test/a?b HTTP/1.1"))
        await client.answer()
        await client.send(request(b"GET http://gateway.test?b HTTP/1.1"))
        await client.answer()
        await client.send(request(b"OPTIONS * HTTP/1.1"))
        await client.answer()
    starts = [head.partition(b" HTTP")[0] for head in script.heads]
    assert starts == [b"GET /a?b", b"GET /?b", b"OPTIONS *"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET http://other.test/ HTTP/1.1\r\nHost: gateway.test\r\n\r\n", 400),
        (b"CONNECT gateway.test:80 HTTP/1.1\r\nHost: gateway.test\r\n\r\n", 400),
        (b"GET x HTTP/1.1\r\nHost: gateway.test\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: gateway.test\r\n\r\n", 400),
        (b"GET /a#b HTTP/1.1\r\nHost: gateway.test\r\n\r\n", 400),
        (b"GET /\x01 HTTP/1.1\r\nHost: gateway.test\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: gateway.test\r\nX: a\x01b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: gateway.test\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: gateway.test\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: gateway.test\r\nX : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\n",
            400,
        ),
        (b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 66_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"x" * 9000 + b"\r\n") * 8 + b"\r\n", 431),
    ],
)
async def test_what_could_be_read_two_ways_is_refused_and_nothing_sent_upstream(
    sent: bytes, status: int
) -> None:
    async with passing_to(OK) as (script, client):
        await client.send(sent)
        head, content = await client.answer()
        assert head.startswith(b"HTTP/1.1 %d " % status), head
        assert re.fullmatch(
            rb'\{"statusCode":\d+,"message":"[^"]+","code":"\w+","requestId":"\w{32}"\}', content
        ), content
        assert b"\r\nContent-Type: application/json\r\n" in head
        assert b"\r\nAccess-Control-Allow-Origin: *\r\n" in head
        assert script.connections == 0


@pytest.mark.parametrize(
    ("sent", "response", "expected"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"Content-Length: 99"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 9\r\n\r\n", b"ETag: x"),
    ],
)
async def test_rfc_9112_6_3_answers_without_content_stay_so(
    sent: bytes, response: bytes, expected: bytes | None
) -> None:
    async with passing_to(response, OK) as (_, client):
        await client.send(request(sent + b" / HTTP/1.1"))
        head = await client.head()
        assert head == response, expected
        await client.send(request())
        assert (await client.answer())[1] == b"ok", "nothing was left on the connection"


async def test_an_answer_of_unknown_length_is_chunked_to_http_1_1_and_closes_http_1_0() -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    )
    async with passing_to(response) as (script, client):
        await client.send(request())
        assert (await client.answer())[1] == b"hello"
        await client.send(request(b"GET / HTTP/1.0", b"Connection: keep-alive"))
        assert await client.head() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        assert await client.until_closed() == b"hello"
        assert script.connections == 1


async def test_rfc_9112_9_3_http_1_0_clients_may_keep_their_connection() -> None:
    async with passing_to(OK) as (_, client):
        for _ in range(2):
            await client.send(request(b"GET / HTTP/1.0", b"Connection: keep-alive"))
            head, _ = await client.answer()
            assert b"Connection: keep-alive\r\n" in head
        await client.send(request(b"GET / HTTP/1.0"))
        assert b"Connection: close\r\n" in await client.head()
        assert await client.until_closed() == b"ok"


async def test_content_passes_both_ways_as_it_came() -> None:
    packed = gzip.compress(b"hello" * 1000, mtime=0)
    received = b""

    async def serve(peer: Peer) -> None:
        nonlocal received
        await peer.request()
        received = await peer.reader.readexactly(len(packed))
        await peer.answer(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
            % (len(packed), packed)
        )

    async with upstream_doing(serve) as script, gateway_before(script.url) as server:
        fields = ["--header", "Content-Encoding: gzip", "--header", "Accept-Encoding: gzip"]
        [response] = await curl(*fields, "--data-binary", "@-", f"{server.url}/x", content=packed)
    assert received == packed
    assert response.content == packed
    assert response["content-encoding"] == "gzip"


async def test_chunked_content_stays_chunked() -> None:
    received: list[bytes] = []

    async def serve(peer: Peer) -> None:
        received.append(await peer.request())
        received.append(await peer.reader.readuntil(b"0\r\n\r\n"))
        await peer.answer(OK)

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(request(b"PUT / HTTP/1.1", b"Transfer-Encoding: chunked"))
        await client.send(b"5\r\nhello\r\n")
        await client.send(b"1;ext=1\r\n!\r\n0\r\nTrailer: x\r\n\r\n")
        assert (await client.answer())[1] == b"ok"
    assert b"Transfer-Encoding: chunked\r\n" in received[0]
    assert b"".join(re.split(rb"[0-9a-f]+\r\n", received[1])).replace(b"\r\n", b"") == b"hello!"


async def test_rfc_9110_10_1_1_a_client_that_expects_continue_is_told_to() -> None:
    """By the gateway, and once, whatever the upstream says (RFC 9110, 10.1.1)."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = await peer.reader.readexactly(5)
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + content)

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        expecting = (b"Expect: 100-continue", b"Content-Length: 5")
        await client.send(request(b"POST / HTTP/1.1", *expecting))
        assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"hello")
        assert (await client.answer())[1] == b"hello"


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
async def test_rfc_9110_15_2_interim_responses_of_the_upstream_are_not_passed_on(
    interim: bytes,
) -> None:
    """Decision 7; RFC 8297 has one of them."""
    before = b"HTTP/1.1 %b\r\nLink: </a.css>; rel=preload\r\n\r\n" % interim
    async with passing_to(before * 2 + OK, OK) as (_, client):
        for _ in range(2):
            await client.send(request())
            assert await client.answer() == (OK.removesuffix(b"ok"), b"ok")


async def test_rfc_9110_15_5_18_client_whose_expectation_is_not_met_upstream_is_told_so() -> None:
    failed = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"
    async with passing_to(failed) as (script, client):
        await client.send(request(b"GET / HTTP/1.1", b"Expect: the-unexpected"))
        assert (await client.answer())[0] == failed
    assert b"Expect: the-unexpected" in fields_of(script.heads[0])


async def test_rfc_9110_10_1_1_client_of_http_1_0_gets_no_interim_response() -> None:
    """RFC 9110, 10.1.1 and 15.2."""
    async with passing_to(b"HTTP/1.1 100 Continue\r\n\r\n" + OK) as (_, client):
        expecting = (b"Expect: 100-continue", b"Content-Length: 2")
        await client.send(request(b"POST / HTTP/1.0", *expecting))
        await client.send(b"ok")
        assert (await client.answer())[0].startswith(b"HTTP/1.1 200 OK\r\n")


async def test_rfc_9112_9_3_2_requests_may_be_pipelined() -> None:
    async with passing_to(*[OK.replace(b"ok", b"a%d" % n) for n in range(5)]) as (_, client):
        await client.send(request() * 5)
        assert [(await client.answer())[1] for _ in range(5)] == [b"a%d" % n for n in range(5)]


async def test_where_a_request_came_from_is_said_and_inbound_claims_are_not_believed() -> None:
    claims = [
        b"X-Forwarded-For: 6.6.6.6",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Port: 1",
        b"Forwarded: for=6.6.6.6",
        b"X-Request-Id: mine",
    ]
    async with passing_to(OK) as (script, client):
        await client.send(request(b"GET / HTTP/1.1", *claims))
        await client.answer()
        host = script.url.removeprefix("http://").encode()
        seen = fields_of(script.heads[0])
        assert seen[:4] == [
            b"Host: " + host,
            b"X-Forwarded-For: 127.0.0.1",
            b"X-Forwarded-Proto: http",
            b"X-Forwarded-Host: gateway.test",
        ]
        assert re.fullmatch(rb"X-Request-Id: [0-9a-f]{32}", seen[4])
        assert len(seen) == 5


@pytest.mark.parametrize(
    "host", [b"foo bar", b"a/b?c@d", b"a.test, b.test", b"a,b", b"user@a.test", b"a.test:x", b":80"]
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("preserve_host", [False, True])
async def test_rfc_9112_3_2_host_that_is_not_a_host_goes_no_further(
    host: bytes, version: bytes, preserve_host: bool
) -> None:
    """RFC 9112, 3.2: 400, whatever the value would be used for."""
    upstream = {"preserve_host": preserve_host}
    async with passing_to(OK, upstream=upstream) as (script, client):
        await client.send(b"GET / HTTP/%b\r\nHost: %b\r\n\r\n" % (version, host))
        assert (await client.until_closed()).startswith(b"HTTP/1.1 400 ")
    assert script.connections == 0


async def test_a_trusted_proxy_is_believed() -> None:
    listen = {"trusted_proxies": ["127.0.0.0/8"]}
    upstream = {"preserve_host": True}
    claims = [
        b"X-Forwarded-For: 1.1.1.1, 2.2.2.2",
        b"X-Forwarded-Proto: https",
        b"X-Request-Id: theirs",
    ]
    async with passing_to(OK, listen=listen, upstream=upstream) as (script, client):
        await client.send(request(b"GET / HTTP/1.1", *claims))
        await client.answer()
        assert fields_of(script.heads[0]) == [
            b"Host: gateway.test",
            b"X-Forwarded-Proto: https",
            b"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.1",
            b"X-Forwarded-Host: gateway.test",
            b"X-Request-Id: theirs",
        ]


async def test_an_upstream_that_is_not_there_is_502_and_one_that_is_silent_504() -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.request()

    limits = {"response_seconds": 0.05}
    async with upstream_doing(silent) as script:
        async with gateway_before(script.url, upstream=limits) as server:
            [response] = await curl(server.url)
        assert response.status == 504
    async with gateway_before(script.url) as server:
        [response] = await curl("--header", "Origin: https://app.test", server.url)
    assert response.status == 502
    assert response["access-control-allow-origin"] == "https://app.test"


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
    ],
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_rfc_9112_8_an_answer_cut_upstream_is_cut_for_the_client_too(
    response: bytes, version: bytes
) -> None:
    is_seen = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(response)
        await is_seen.wait()

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(request(b"GET / HTTP/" + version))
        await client.reader.readuntil(b"hel")
        is_seen.set()
        with pytest.raises(ConnectionResetError):
            rest = await client.until_closed()
            assert b"0\r\n\r\n" not in rest
            raise ConnectionResetError


async def test_a_client_that_leaves_cancels_the_upstream_request() -> None:
    left = asyncio.Event()
    asked = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        asked.set()
        assert not await peer.reader.read()
        left.set()

    async with upstream_doing(serve) as script, gateway_before(script.url) as server:
        async with connected(server.url) as client:
            await client.send(request())
            await asked.wait()
        await until(left.is_set)


SIZE = 100 << 20
GROWTH = 24 << 10
"""In KiB: what the gateway, the upstream and the client of a test may take together."""


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def test_a_large_download_to_a_slow_reader_takes_constant_memory() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        block = b"x" * (1 << 18)
        for _ in range(SIZE // len(block)):
            await peer.answer(block)

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        before = peak_kib()
        await client.send(request())
        await client.head()
        await asyncio.sleep(0.05)
        received = 0
        while received < SIZE:
            received += len(await client.reader.read(1 << 20))
        assert peak_kib() - before < GROWTH


async def test_a_large_upload_to_a_slow_upstream_takes_constant_memory() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.05)
        received = 0
        while received < SIZE:
            received += len(await peer.reader.read(1 << 20))
        await peer.answer(OK)

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        before = peak_kib()
        await client.send(request(b"PUT / HTTP/1.1", b"Content-Length: %d" % SIZE))
        block = b"x" * (1 << 18)
        for _ in range(SIZE // len(block)):
            await client.send(block)
        assert (await client.answer())[1] == b"ok"
        assert peak_kib() - before < GROWTH
