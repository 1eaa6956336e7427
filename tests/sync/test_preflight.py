"""Preflights of the gateway's own routes, in front of orchestrators of many kinds."""

from __future__ import annotations

import re

import pytest

from gateway.protocols.theeye.cors import cross_origin_fields, understanding
from gateway.sync.preflight import MOST_BYTES
from tests.support.harness import connected, gateway_before, once
from tests.support.upstream import upstream_answering

ASKING = (
    b"OPTIONS %b HTTP/1.1\r\nHost: x\r\nOrigin: https://a.test\r\n"
    b"Access-Control-Request-Method: %b\r\nAccess-Control-Request-Headers: prefer\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 204 No Content\r\nServer: restify\r\nAccess-Control-Allow-Origin: https://a.test\r\n"
    b"Access-Control-Allow-Headers: Accept, X-Own, content-type\r\nDate: then\r\n\r\n"
)
COMPLETED = ANSWER.replace(
    b"content-type",
    b"content-type, Prefer, Idempotency-Key, X-TheEye-On-Timeout, X-TheEye-On-Disconnect,"
    b" Last-Event-ID, Authorization",
).replace(b"Date: then\r\n", b"Date: then\r\nAccess-Control-Max-Age: 600\r\n")
FALLBACK = understanding(cross_origin_fields(b"https://a.test"))


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (b"/task/t/job?a=b", b"POST"),
        (b"/acme/task/t/job", b"POST"),
        (b"/job", b"POST"),
        (b"/job/j/result?counter=0", b"GET"),
        (b"/job/j/result", b"POST"),
        (b"/job/j/secret/s/result", b"GET"),
    ],
)
async def test_preflight_of_an_own_route_has_what_the_gateway_understands_besides(
    path: bytes, method: bytes
) -> None:
    sync = {"secret_routes": True}
    async with (
        upstream_answering(ANSWER) as script,
        gateway_before(script.url, sync=sync) as server,
    ):
        head, content = await once(server.url, ASKING % (path, method))
    assert (head, content) == (COMPLETED, b"")
    assert script.heads[0].startswith(b"OPTIONS %b HTTP/1.1\r\n" % path)
    assert b"\r\nAccess-Control-Request-Headers: prefer\r\n" in script.heads[0]


async def test_script_may_cancel_a_job_where_the_upstream_names_other_methods_only() -> None:
    answer = ANSWER.replace(b"Date", b"Access-Control-Allow-Methods: GET,PUT\r\nDate")
    async with upstream_answering(answer) as script, gateway_before(script.url) as server:
        head, _ = await once(server.url, ASKING % (b"/job/j/result", b"DELETE"))
    assert b"\r\nAccess-Control-Allow-Methods: GET,PUT, DELETE\r\n" in head


@pytest.mark.parametrize(
    "sent",
    [
        ASKING % (b"/task/t/job", b"GET"),
        ASKING % (b"/job/j/result", b"PUT"),
        ASKING % (b"/acme/job/j", b"GET"),
        ASKING % (b"/task/t/job/", b"POST"),
        ASKING % (b"*", b"POST"),
        b"OPTIONS /task/t/job HTTP/1.1\r\nHost: x\r\nOrigin: https://a.test\r\n\r\n",
        (ASKING % (b"/task/t/job", b"POST")).replace(b"Origin", b"X-Origin"),
        (ASKING % (b"/task/t/job", b"POST")).replace(
            b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\na"
        ),
    ],
)
async def test_all_else_passes_untouched(sent: bytes) -> None:
    async with upstream_answering(ANSWER) as script, gateway_before(script.url) as server:
        assert await once(server.url, sent) == (ANSWER, b"")


async def test_preflight_of_a_secret_route_passes_where_those_are_not_served() -> None:
    sent = ASKING % (b"/job/j/secret/s/result", b"GET")
    async with upstream_answering(ANSWER) as script, gateway_before(script.url) as server:
        assert await once(server.url, sent) == (ANSWER, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Headers: A\r\nDate: then\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nAccess-Control-Allow-Origin: *\r\nDate: then\r\n"
        b"Content-Length: 2\r\n\r\nno",
    ],
)
async def test_preflight_that_is_not_granted_stays_as_the_upstream_has_it(answer: bytes) -> None:
    async with upstream_answering(answer) as script, gateway_before(script.url) as server:
        head, content = await once(server.url, ASKING % (b"/job", b"POST"))
    assert head + content == answer


@pytest.mark.parametrize(
    "broken",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MOST_BYTES + 1)
        + b"a" * (MOST_BYTES + 1),
    ],
)
async def test_preflight_is_answered_though_the_upstream_has_no_answer(broken: bytes) -> None:
    async with (
        upstream_answering(broken, close=True) as script,
        gateway_before(script.url) as server,
    ):
        head, _ = await once(server.url, ASKING % (b"/job", b"POST"))
    assert head.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert all(b"\r\n%b: %b\r\n" % line in head for line in FALLBACK)


async def test_script_may_read_the_error_of_its_request_while_the_upstream_is_down() -> None:
    async with gateway_before("http://127.0.0.1:9") as server, connected(server.url) as client:
        await client.send(ASKING % (b"/task/t/job", b"POST"))
        granted, _ = await client.answer()
        await client.send(
            b"POST /task/t/job HTTP/1.1\r\nHost: x\r\nOrigin: https://a.test\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        head, _ = await client.answer()
    assert granted.startswith(b"HTTP/1.1 204 ")
    assert head.startswith(b"HTTP/1.1 502 ")
    assert b"\r\nAccess-Control-Allow-Origin: https://a.test\r\n" in head


async def test_content_of_a_preflights_response_passes() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    async with upstream_answering(answer) as script, gateway_before(script.url) as server:
        head, content = await once(server.url, ASKING % (b"/job", b"POST"))
    assert content == b"ok"
    assert len(re.findall(rb"(?i)\r\ncontent-length:", head)) == 1
