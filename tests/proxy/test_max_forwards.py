"""How far a TRACE or OPTIONS may go, and what it gets where it may go no further."""

from __future__ import annotations

import pytest

from gateway.errors import BadRequest, Field
from gateway.protocols.http.fields import lowered
from gateway.proxy.max_forwards import final_response, forwarded_once, max_forwards
from tests.support.harness import connected, gateway_before
from tests.support.upstream import upstream_answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoiYWRhIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


def left(*values: bytes, method: str = "TRACE") -> int | None:
    fields = [(b"Max-Forwards", value) for value in values]
    return max_forwards(method, fields, lowered(fields))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"0", 0),
        (b"7", 7),
        (b"007", 7),
        (b" 1 ", 1),
        (b"9" * 9, 999_999_999),
        (b"9" * 5000, 999_999_999),
    ],
)
@pytest.mark.parametrize("method", ["TRACE", "OPTIONS"])
def test_rfc_9110_7_6_2_whole_number_bounds_the_hops_of_trace_and_options(
    method: str, value: bytes, number: int
) -> None:
    assert left(value, method=method) == number


def test_rfc_9110_7_6_2_hops_are_not_bounded_without_the_field_and_for_other_methods() -> None:
    assert left() is None
    assert left(b"0", method="GET") is None
    assert left(b"nonsense", method="POST") is None


@pytest.mark.parametrize(
    "values", [[b""], [b"x"], [b"-1"], [b"+1"], [b"1.0"], [b"1, 2"], [b"1", b"1"]]
)
def test_rfc_9110_7_6_2_what_is_not_one_whole_number_is_refused(values: list[bytes]) -> None:
    with pytest.raises(BadRequest):
        left(*values)


def test_rfc_9110_7_6_2_number_is_one_less_at_the_next_hop() -> None:
    fields = [(b"A", b"7"), (b"max-Forwards", b"007")]
    assert forwarded_once(fields, 7) == [(b"A", b"7"), (b"max-Forwards", b"6")]


SECRET_FIELDS: list[Field] = [
    (b"Authorization", b"Bearer hidden"),
    (b"Proxy-Authorization", b"Basic hidden"),
    (b"Cookie", b"sid=hidden"),
    (b"X-Api-Key", b"hidden"),
    (b"X-Auth", b"hidden"),
    (b"Referer", b"http://x/?access%5Ftoken=hidden"),
    (b"Referer", b"http://ada:hidden@x/"),
    (b"X-Note", b"Bearer hidden"),
    (b"X-Original-Url", f"/a/{JWT}".encode()),
]


def test_rfc_9110_9_3_8_request_is_reflected_without_its_secrets() -> None:
    shown: list[Field] = [(b"Host", b"x"), (b"x-A", b"1"), (b"X-a", b"\xe9"), (b"Via", b"1.1 p")]
    target = f"/a/secret/hidden?access_token=hidden&b={JWT}&c=d"
    response = final_response("TRACE", target, [*shown[:2], *SECRET_FIELDS, *shown[2:]])
    assert response.content == (
        b"TRACE /a/secret/***?access_token=***&b=***&c=d HTTP/1.1\r\n"
        b"Host: x\r\nx-A: 1\r\nX-a: \xe9\r\nVia: 1.1 p\r\n\r\n"
    )
    assert (response.status, response.fields[0]) == (200, (b"Content-Type", b"message/http"))


async def test_rfc_9110_9_3_8_trace_that_may_go_no_further_is_answered_here() -> None:
    async with (
        upstream_answering(OK) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(
            b"TRACE /a?b HTTP/1.1\r\nHost: x\r\nX-A: <b>\r\nMax-Forwards: 0\r\n"
            b"Authorization: Bearer hidden\r\n\r\n"
        )
        head, content = await client.answer()
        assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: message/http\r\n")
        assert b"\r\nX-Content-Type-Options: nosniff\r\n" in head
        assert content == b"TRACE /a?b HTTP/1.1\r\nHost: x\r\nX-A: <b>\r\nMax-Forwards: 0\r\n\r\n"
        await client.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n")
        head, content = await client.answer()
        assert head.startswith(b"HTTP/1.1 204 No Content\r\nAllow: ")
        assert b"content-length" not in head.lower()
        assert script.connections == 0


async def test_rfc_9110_7_6_2_trace_that_may_go_on_does_so_by_one_hop_less() -> None:
    async with (
        upstream_answering(OK) as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        for method in (b"TRACE", b"OPTIONS"):
            await client.send(b"%b /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: 1\r\n\r\n" % method)
            assert (await client.answer())[1] == b"ok"
        await client.send(b"GET /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n")
        assert (await client.answer())[1] == b"ok"
        sent = [head.split(b"Max-Forwards: ")[1][:1] for head in script.heads]
        assert sent == [b"0", b"0", b"0"]
        await client.send(b"TRACE /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: x\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 400 ")


async def test_trace_that_ends_here_is_limited_as_any_other() -> None:
    trace = b"TRACE /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n"
    limits = {"mode": "enforce", "other": {"per_second": 0.01, "burst": 10, "content_bytes": 1024}}
    async with (
        upstream_answering(OK) as script,
        gateway_before(script.url, limits=limits) as server,
        connected(server.url) as client,
    ):
        heads = []
        for _ in range(2):
            await client.send(trace)
            heads.append((await client.answer())[0])
    assert [head[9:12] for head in heads] == [b"200", b"429"]
