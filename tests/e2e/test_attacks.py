"""What a hostile client, task or upstream may try: on raw sockets, seen from both ends."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.harness import RawClient, connected, gateway_before, nameless, once
from tests.support.upstream import Peer, Script, upstream_answering, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.demo.orchestrator import Orchestrator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
JOB = "64ac6478646bb71ee82e3a72"
NESTED = "[" * 200_000


@asynccontextmanager
async def passing_to(*answers: bytes, **sections: Any) -> AsyncIterator[tuple[Script, RawClient]]:
    """A gateway before an upstream that gives ``answers``, and a connection to it."""
    async with (
        upstream_answering(*answers) as script,
        gateway_before(script.url, **sections) as server,
        connected(server.url) as client,
    ):
        yield script, client


@asynccontextmanager
async def reading_all() -> AsyncIterator[str]:
    """A gateway before an upstream that reads every request's content; the gateway's URL."""

    async def serve(peer: Peer) -> None:
        while head := await peer.request():
            [length] = re.findall(rb"Content-Length: (\d+)", head)
            await peer.reader.readexactly(int(length))
            await peer.answer(OK)

    async with upstream_doing(serve) as script, gateway_before(script.url) as server:
        yield server.url


def bomb(mebibytes: int) -> bytes:
    """Little that inflates to much: a JSON object with the flag, as gzip."""
    deflater = zlib.compressobj(9, wbits=31)
    pieces = [deflater.compress(b'{"wait_result":true,"a":"')]
    pieces += [deflater.compress(b"a" * 2**20) for _ in range(mebibytes)]
    return b"".join([*pieces, deflater.compress(b'"}'), deflater.flush()])


def post(target: str, content: bytes, *fields: bytes) -> bytes:
    length = b"Content-Length: %d" % len(content)
    line = b"POST %b HTTP/1.1" % target.encode()
    return b"\r\n".join([line, b"Host: x", *fields, length, b"", content])


def get(target: str, *fields: bytes) -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % target.encode(), b"Host: x", *fields, b"", b""])


def answering(content: bytes, *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", *fields, b"Content-Length: %d" % len(content), b"", content]
    return b"\r\n".join(lines)


def job(**members: Any) -> bytes:
    known = {"id": JOB, "lifecycle": "finished", "state": "success", "customer_name": "acme"}
    return answering(json.dumps({**known, **members}).encode())


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: xchunked",
        b'Transfer-Encoding: "chunked"',
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding : chunked",
        b"Content-Length: 4\r\nContent-Length: 4",
        b"Content-Length: 4, 4",
        b"Content-Length: +4",
        b"Content-Length: -4",
        b"Content-Length: 0x4",
        b"Content-Length: 1_0",
        b"Content-Length: ",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: 18446744073709551615",
        b"Content-Length: " + b"0" * 5000 + b"4",
        b"Content-Length: 4\nX: y",
        b"Content-Length: 4\rX: y",
        b"X: y\r\n Content-Length: 4",
    ],
)
async def test_rfc_9112_6_3_client_hides_no_request_in_content_whose_length_is_in_doubt(
    fields: bytes,
) -> None:
    async with passing_to(OK) as (script, client):
        await client.send(
            b"POST / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n0\r\n\r\n" + HIDDEN
        )
        assert (await client.until_closed()).count(b"HTTP/1.1 400 ") == 1
        assert script.connections == 0


@pytest.mark.parametrize(
    "chunks",
    [
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"3;a\nabc\r\n0\r\n\r\n",
        b"3\r\nabcXX0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"10000000000000003\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
        b"3\r\nabc\r\n0\r\nno trailer\r\n\r\n",
    ],
)
async def test_rfc_9112_7_1_client_hides_no_request_behind_broken_chunks(chunks: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with passing_to(OK) as (script, client):
        await client.send(head + chunks + HIDDEN)
        assert (await client.until_closed()).count(b"HTTP/1.1 400 ") == 1
        assert not any(b"/hidden" in head for head in script.heads)


async def test_rfc_9112_7_1_chunks_are_written_anew_without_extensions_and_trailers() -> None:
    arrived: list[bytes] = []

    async def serve(peer: Peer) -> None:
        await peer.request()
        arrived.append(await peer.reader.readuntil(b"\r\n0\r\n\r\n"))
        await peer.answer(OK)

    sent = (
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Transfer-Encoding\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0003;a=b\r\nabc\r\n0;c\r\nX-Trailer: 1\r\n\r\n"
    )
    async with upstream_doing(serve) as script, gateway_before(script.url) as server:
        head, _ = await once(server.url, sent)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert arrived == [b"3\r\nabc\r\n0\r\n\r\n"]


@pytest.mark.parametrize(
    "target", ["/job/none/result", f"/job/{JOB}/result?limit=x", "/job?wait_result=true&timeout=x"]
)
async def test_content_of_a_refused_request_is_never_taken_for_a_request(target: str) -> None:
    async with passing_to(OK) as (script, client):
        await client.send(post(target, HIDDEN) + get("/next"))
        refused, _ = await client.answer()
        passed, _ = await client.answer()
    assert (refused[:13], passed[:13]) == (b"HTTP/1.1 400 ", b"HTTP/1.1 200 ")
    assert [head.split()[1] for head in script.heads] == [b"/next"]


@pytest.mark.parametrize("fields", [(), (b"Content-Length: %d" % len(HIDDEN),)])
async def test_rfc_9110_9_3_6_what_follows_a_refused_connect_is_never_taken_for_a_request(
    fields: tuple[bytes, ...],
) -> None:
    """It may be the tunnel's, or content for whoever read the length."""
    connect = b"\r\n".join([b"CONNECT x:1 HTTP/1.1", b"Host: x:1", *fields, b"", b""])
    async with passing_to(OK) as (script, client):
        await client.send(connect + HIDDEN)
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"\r\nConnection: close\r\n" in head
        assert await client.until_closed() == b""
    assert script.heads == []


async def test_connection_ends_after_an_upgrade_that_is_never_granted() -> None:
    async with passing_to(OK) as (script, client):
        await client.send(get("/", b"Connection: Upgrade", b"Upgrade: h2c") + get("/next"))
        head, _ = await client.answer()
        assert b"\r\nConnection: close\r\n" in head
        assert await client.until_closed() == b""
    assert [head.split()[1] for head in script.heads] == [b"/"]


async def test_rfc_9110_7_8_connection_goes_on_after_an_upgrade_that_was_not_granted() -> None:
    async with passing_to(OK) as (script, client):
        await client.send(get("/", b"Connection: Upgrade", b"Upgrade: websocket"))
        await client.answer()
        await client.send(get("/next"))
        assert (await client.answer())[1] == b"ok"
    assert [head.split()[1] for head in script.heads] == [b"/", b"/next"]


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 5000,
        b"HTTP/1.1 099 No\r\nContent-Length: 2\r\n\r\nno" + OK,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"\x00\x01\r\n\r\n",
    ],
)
async def test_upstream_that_speaks_no_clean_http_is_502(response: bytes) -> None:
    async with passing_to(response) as (_, client):
        await client.send(get("/"))
        head, content = await client.answer()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert json.loads(content)["code"] == "BadGateway"


async def test_rfc_9112_9_2_second_answer_of_the_upstream_reaches_nobody() -> None:
    second = b"HTTP/1.1 200 OK\r\nX-Second: 1\r\nContent-Length: 6\r\n\r\nsecond"
    async with passing_to(OK + second, OK) as (script, client):
        await client.send(get("/first"))
        assert await client.answer() == (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok")
        await client.send(get("/next"))
        assert await client.answer() == (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok")
        assert script.connections == 2


async def test_rfc_9110_6_5_1_trailers_of_the_upstream_do_not_become_fields() -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\nSet-Cookie: a=b\r\nX-Trailer: 1\r\n\r\n"
    )
    async with passing_to(response) as (_, client):
        await client.send(get("/"))
        head, content = await client.answer()
        assert (head, content) == (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"ok",
        )


@pytest.mark.parametrize(
    "customer",
    [
        *("", "customer=acme", "customer=%61cme", "custome%72=acme", "customer=ACME"),
        *("customer=acme&customer=globex", "customer=globex&customer=acme", "customer[]=acme"),
        *("customer=globex%2f..%2facme", "customer=acme%2f..%2fglobex", "customer=%2e%2e"),
        *("customer=.", "customer=globex%00acme", "customer=acme%20", "customer=%EF%BD%81cme"),
        *("customer=globex%3F", "customer=globex%23", "customer=", "customer=-"),
        *("customer=%E2%80%AEacme", "customer=%c0%ae", "customer=acme%0d%0aX:1"),
    ],
)
async def test_stranger_gets_no_job_however_the_organization_is_written(
    orchestrator: Orchestrator, customer: str
) -> None:
    theirs = orchestrator.create("instant")
    token = orchestrator.tokens["globex-user"]
    async with gateway_before(orchestrator.url) as server:
        for job_id in (theirs.id, theirs.id.upper()):
            target = f"/job/{job_id}/result?access_token={token}&{customer}"
            head, content = await once(server.url, get(target))
            assert head[9:12] in {b"400", b"404"}
            assert b"Hello" not in content
            assert b"\r\nX-TheEye-Job-State: unknown\r\n" in head


async def test_two_tokens_are_not_played_off_against_each_other(
    orchestrator: Orchestrator,
) -> None:
    theirs = orchestrator.create("instant").id
    stranger, owner = (orchestrator.tokens[f"{name}-user"] for name in ("globex", "acme"))
    async with gateway_before(orchestrator.url) as server:
        for query, field in (
            (f"access_token={stranger}&access_token={owner}", b"X: y"),
            (f"access_token={owner}&access_token={stranger}", b"X: y"),
            (f"access_token={stranger}&customer=acme", b"Authorization: Bearer " + owner.encode()),
            (f"access_token={owner}", b"Authorization: Bearer " + stranger.encode()),
        ):
            head, _ = await once(server.url, get(f"/job/{theirs}/result?{query}", field))
            assert head.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "query",
    ["x=%0d%0aSet-Cookie:a=b", "x=%00&y=%zz&z=%u0041", "&&&=&=x", "%E2%80%AE", "counte%72=0"],
)
async def test_location_keeps_the_query_without_decoding_it(query: str) -> None:
    created = answering(f'{{"id":"{JOB}","customer_name":"a/ñ&b"}}'.encode())
    async with passing_to(created) as (_, client):
        await client.send(post(f"/task/t/job?{query}&wait_result=true", b"[]"))
        head, _ = await client.answer()
    [location] = re.findall(rb"\r\nLocation: (\S+)\r\n", head)
    assert location.startswith(f"/job/{JOB}/result?{query}&wait_result=true&".encode())
    assert nameless(location.decode()).endswith("&customer=a%2F%C3%B1%26b")
    assert b"Set-Cookie:" not in head.replace(location, b"")


@pytest.mark.parametrize(
    "created",
    [b"", b"ok", b"[1]", b"{}", NESTED.encode(), json.dumps({"id": f"{JOB}\n"}).encode()],
)
async def test_answer_that_holds_no_job_passes_as_it_is(created: bytes) -> None:
    async with passing_to(answering(created, b"X: y")) as (_, client):
        await client.send(post("/task/t/job?wait_result=true", b"[]"))
        head, content = await client.answer()
        assert head.startswith(b"HTTP/1.1 200 OK\r\nX: y\r\n")
        assert b"Location" not in head
        assert content == created


@pytest.mark.parametrize(
    "content",
    [
        b'{"wait_result":' + NESTED.encode(),
        b'{"wait_result":' * 50_000,
        b'{"wait_result":true,"n":' + b"9" * 500_000 + b"1",
        b"\xff\xfewait_result",
        b'{"wait_result":tru\\u0065}',
    ],
)
async def test_content_that_only_looks_like_a_flag_passes(content: bytes) -> None:
    async with reading_all() as url:
        assert (await once(url, post("/task/t/job", content)))[1] == b"ok"


async def test_content_that_inflates_without_end_passes_without_being_inflated() -> None:
    content = bomb(64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with reading_all() as url:
        message = post("/task/t/job", content, b"Content-Encoding: gzip")
        assert (await once(url, message))[1] == b"ok"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


@pytest.mark.parametrize(
    ("output", "status"),
    [([NESTED], b"500"), ([NESTED + "]" * 200_000], b"500"), (['{"a":' * 100_000], b"500")],
)
async def test_task_that_prints_deep_json_gets_an_answer(output: list[str], status: bytes) -> None:
    async with passing_to(job(output=output)) as (_, client):
        await client.send(get(f"/job/{JOB}/result?customer=acme&parse"))
        head, content = await client.answer()
        assert head[9:12] == status
        assert b"cannot be parsed" in content


@pytest.mark.parametrize("method", [b"HEAD", b"OPTIONS", b"PUT", b"PATCH"])
async def test_other_methods_on_a_result_only_pass(method: bytes) -> None:
    target = f"/job/{JOB}/result?customer=acme".encode()
    async with passing_to(b"HTTP/1.1 204 No Content\r\n\r\n") as (script, client):
        await client.send(method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await client.head() == b"HTTP/1.1 204 No Content\r\n\r\n"
        assert script.heads[0].startswith(method + b" " + target + b" HTTP/1.1\r\n")


async def test_rfc_9112_3_2_2_absolute_target_takes_part_in_the_sync_mode() -> None:
    async with passing_to(job(output=["x"])) as (script, client):
        await client.send(post("http://x/task/t/job?wait_result=true", b"[]"))
        head, _ = await client.answer()
        assert f"\r\nLocation: /job/{JOB}/result?wait_result=true&".encode() in head
        await client.send(get(f"http://x/job/{JOB}/result?customer=acme"))
        assert (await client.answer())[1] == b'["x"]'
    assert [head.split()[1] for head in script.heads] == [
        b"/task/t/job?wait_result=true",
        f"/acme/job/{JOB}".encode(),
    ]


@pytest.mark.parametrize("query", ["", "?wait_result=true"])
async def test_rfc_9110_10_1_1_creating_client_that_expects_continue_is_told_to(query: str) -> None:
    content = b'{"wait_result":true}'
    message = post(f"/task/t/job{query}", content, b"Expect: 100-continue")
    async with passing_to(job()) as (_, client):
        await client.send(message.removesuffix(content))
        assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(content)
        assert (await client.head()).startswith(b"HTTP/1.1 303 ")


async def test_clients_that_leave_in_the_middle_give_their_upstream_connections_back() -> None:
    begun = asyncio.Semaphore(0)

    async def serve(peer: Peer) -> None:
        while head := await peer.request():
            begun.release()
            if b" /next " in head:
                await peer.answer(OK)
            else:
                await peer.reader.read()

    async with (
        upstream_doing(serve) as script,
        gateway_before(script.url, upstream={"max_connections": 2}) as server,
    ):
        for _ in range(3):
            async with connected(server.url) as one, connected(server.url) as other:
                await one.send(post("/", b"x" * 70_000)[:-1])
                await other.send(get("/"))
                await begun.acquire()
                await begun.acquire()
        assert (await once(server.url, get("/next")))[1] == b"ok"
