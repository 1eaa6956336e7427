from __future__ import annotations

import pytest

from tests.support.harness import connected, gateway_before, once
from tests.support.upstream import upstream_answering

REST = b" /a HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "method", ["FOO", "GETX", "get", "O'BRIEN", "!#$%&'*+.^_`|~-", "M" * 64, "VERSION-CONTROLL"]
)
async def test_method_that_the_parser_does_not_know_is_named(
    method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = {"access": True, "format": "text"}
    async with gateway_before("http://127.0.0.1:9", log=log) as server:
        head, content = await once(server.url, method.encode() + REST)
    assert head.startswith(b"HTTP/1.1 501 Not Implemented\r\n")
    assert b"\r\nConnection: close\r\n" in head
    assert f'"The method {method} is not supported","code":"NotImplemented"'.encode() in content
    assert f" method={method} " in capsys.readouterr().out


@pytest.mark.parametrize(
    "message",
    [
        b"garbage\r\n\r\n",
        b"FOO\r\n\r\n",
        b"FOO /\r\n\r\n",
        b"FOO / HTTP/2.0\r\n\r\n",
        b"FOO  / HTTP/1.1\r\n\r\n",
        b'F"O' + REST,
        b"F\\O" + REST,
        b"F\xffO" + REST,
        b"M" * 65 + REST,
        b"\x16\x03\x01",
    ],
)
async def test_what_is_no_request_line_is_no_unknown_method(message: bytes) -> None:
    async with gateway_before("http://127.0.0.1:9") as server:
        head, _ = await once(server.url, message)
    assert head.startswith(b"HTTP/1.1 400 ")


async def test_unknown_method_behind_a_request_that_is_answered_is_named() -> None:
    async with (
        upstream_answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as script,
        gateway_before(script.url) as server,
        connected(server.url) as client,
    ):
        await client.send(b"GET" + REST)
        assert (await client.answer())[1] == b"ok"
        await client.send(b"FOO" + REST)
        assert (await client.head()).startswith(b"HTTP/1.1 501 ")
