"""What becomes of a request when one of the parts fails: the client is told, nothing leaks."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest

from gateway.downstream.exchange import Exchange, Outcome
from gateway.errors import BadGateway, Response
from gateway.ops.metrics import Metrics
from gateway.proxy.relay import Relay
from tests.support.harness import connected, gateway_before, once
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.server.server import Server

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A gateway before nothing."""
    async with gateway_before("http://127.0.0.1:9") as server:
        yield server


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> list[Exchange]:
    """The requests that the observers were told of."""
    told: list[Exchange] = []
    monkeypatch.setattr(Metrics, "observe", lambda _, exchange: told.append(exchange))
    return told


async def fails_early(_relay: Relay, _exchange: Exchange, _forwarded: object) -> None:
    raise ZeroDivisionError("an internal detail")


async def fails_late(_relay: Relay, exchange: Exchange, _forwarded: object) -> None:
    begin(exchange)
    raise ZeroDivisionError("an internal detail")


async def is_refused_late(_relay: Relay, exchange: Exchange, _forwarded: object) -> None:
    begin(exchange)
    raise BadGateway


async def hangs(_relay: Relay, exchange: Exchange, _forwarded: object) -> None:
    begin(exchange)
    await asyncio.Event().wait()


async def floods(_relay: Relay, exchange: Exchange, _forwarded: object) -> None:
    begin(exchange)
    while True:
        exchange.client.write(b"x" * 65536)
        await exchange.client.drain()


def begin(exchange: Exchange) -> None:
    exchange.client.begin(200, b"OK", [], is_sized=False)
    exchange.client.flush()


@pytest.mark.fakes
async def test_unexpected_failure_is_500_and_shows_nothing_internal(
    observed: list[Exchange],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(Relay, "relay", fails_early)
    head, content = await once(server.url, GET)
    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    body = json.loads(content)
    request_id = body.pop("requestId")
    assert body == {"statusCode": 500, "message": "Internal Server Error", "code": "Internal"}
    assert [(one.request_id, one.status, one.outcome) for one in observed] == [
        (request_id, 500, Outcome.FAILED)
    ]
    assert f"request {request_id} failed" in caplog.text
    assert "an internal detail" in caplog.text


@pytest.mark.fakes
@pytest.mark.parametrize("relay", [fails_late, is_refused_late])
async def test_failure_after_the_answer_has_begun_cuts_it(
    observed: list[Exchange], server: Server, monkeypatch: pytest.MonkeyPatch, relay: object
) -> None:
    monkeypatch.setattr(Relay, "relay", relay)
    async with connected(server.url) as client:
        await client.send(GET)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.answer()
    assert [one.outcome for one in observed] == [Outcome.CUT]


@pytest.mark.fakes
async def test_answer_that_cannot_be_written_is_cut(
    observed: list[Exchange],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def unwritable(_relay: Relay, _exchange: Exchange, _forwarded: object) -> Response:
        raise BadGateway(fields=(("text", "where bytes belong"),))  # type: ignore[arg-type]

    monkeypatch.setattr(Relay, "relay", unwritable)
    async with connected(server.url) as client:
        await client.send(GET)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.answer()
    assert [one.outcome for one in observed] == [Outcome.CUT]
    assert "answer failed" in caplog.text


@pytest.mark.fakes
async def test_client_that_leaves_is_told_of_once(
    observed: list[Exchange], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Relay, "relay", hangs)
    async with connected(server.url) as client:
        await client.send(GET)
        await client.head()
    await until(lambda: bool(observed))
    assert [one.outcome for one in observed] == [Outcome.CLIENT_CLOSED]


@pytest.mark.fakes
async def test_client_that_takes_nothing_is_given_up(
    observed: list[Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Relay, "relay", floods)
    listen = {"idle_seconds": 0.02}
    async with (
        gateway_before("http://127.0.0.1:9", listen=listen) as server,
        connected(server.url) as client,
    ):
        await client.send(GET)
        await until(lambda: bool(observed))
    assert [one.outcome for one in observed] == [Outcome.CLIENT_CLOSED]


async def test_client_that_stops_sending_gets_408_and_loses_its_connection(
    observed: list[Exchange], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with (
        gateway_before("http://127.0.0.1:9", listen={"idle_seconds": 0.02}) as server,
        connected(server.url) as client,
    ):
        await client.send(
            b"POST /job?wait_result=true HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        )
        head, content = await client.answer()
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"\r\nConnection: close\r\n" in head
        assert json.loads(content)["code"] == "RequestTimeout"
        client.writer.write_eof()
        assert await client.until_closed() == b""
    assert [one.status for one in observed] == [408]
    assert caplog.text == ""
