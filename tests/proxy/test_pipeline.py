"""What becomes of a request when one of the parts fails: the client is told, nothing leaks."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest

from gateway.downstream.exchange import Exchange, Outcome
from gateway.errors import BadGateway, Response
from tests.support.harness import RawClient, connected, gateway_before
from tests.support.pipeline import NOWHERE, Record, listening, pipeline_before
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gateway.protocols.theeye.routes import ResultRoute

    Answer = Callable[[Exchange], Awaitable[Response]]

RESULT = b"GET /job/64ac6478646bb71ee82e3a72/result HTTP/1.1\r\nHost: x\r\n\r\n"


class Stage:
    """A last stage that does as a test says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def respond(self, exchange: Exchange, _route: ResultRoute) -> Response:
        return await self._answer(exchange)


@asynccontextmanager
async def client_of(
    answer: Answer, idle_seconds: float = 5.0
) -> AsyncIterator[tuple[RawClient, list[Exchange]]]:
    """A client that has sent a request, and the requests that the observers were told of."""
    record = Record()
    with pipeline_before(NOWHERE, record, hold=Stage(answer)) as pipeline:
        async with listening(pipeline, idle_seconds) as url, connected(url) as client:
            await client.send(RESULT)
            yield client, record.exchanges


async def fails_early(_exchange: Exchange) -> NoReturn:
    raise ZeroDivisionError("an internal detail")


async def fails_late(exchange: Exchange) -> NoReturn:
    begin(exchange)
    raise ZeroDivisionError("an internal detail")


async def is_refused_late(exchange: Exchange) -> NoReturn:
    begin(exchange)
    raise BadGateway


async def is_answered_twice(exchange: Exchange) -> Response:
    begin(exchange)
    return Response(200, b"")


async def unwritable(_exchange: Exchange) -> NoReturn:
    raise BadGateway(fields=(("text", "where bytes belong"),))  # type: ignore[arg-type]


async def hangs(exchange: Exchange) -> NoReturn:
    begin(exchange)
    await asyncio.Event().wait()
    raise AssertionError


async def floods(exchange: Exchange) -> NoReturn:
    begin(exchange)
    while True:
        exchange.client.write(b"x" * 65536)
        await exchange.client.drain()


def begin(exchange: Exchange) -> None:
    exchange.client.begin(200, b"OK", [], is_sized=False)
    exchange.client.flush()


async def test_unexpected_failure_is_500_and_shows_nothing_internal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client_of(fails_early) as (client, observed):
        head, content = await client.answer()
    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    body = json.loads(content)
    request_id = body.pop("requestId")
    assert body == {"statusCode": 500, "message": "Internal Server Error", "code": "Internal"}
    assert [(one.request_id, one.status, one.outcome) for one in observed] == [
        (request_id, 500, Outcome.FAILED)
    ]
    assert f"request {request_id} failed" in caplog.text
    assert "an internal detail" in caplog.text


@pytest.mark.parametrize("answer", [fails_late, is_refused_late, is_answered_twice])
async def test_failure_after_the_answer_has_begun_cuts_it(answer: Answer) -> None:
    async with client_of(answer) as (client, observed):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.answer()
    assert [one.outcome for one in observed] == [Outcome.CUT]


async def test_answer_that_cannot_be_written_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(unwritable) as (client, observed):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.answer()
    assert [one.outcome for one in observed] == [Outcome.CUT]
    assert "response failed" in caplog.text


async def test_client_that_leaves_is_told_of_once() -> None:
    async with client_of(hangs) as (client, observed):
        await client.head()
        client.writer.transport.abort()
        await until(lambda: bool(observed))
    assert [one.outcome for one in observed] == [Outcome.CLIENT_CLOSED]


async def test_client_that_takes_nothing_is_given_up() -> None:
    async with client_of(floods, idle_seconds=0.02) as (_, observed):
        await until(lambda: bool(observed))
    assert [one.outcome for one in observed] == [Outcome.CLIENT_CLOSED]


async def test_client_that_stops_sending_gets_408_and_loses_its_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    record = Record()
    async with (
        gateway_before(NOWHERE, record, listen={"idle_seconds": 0.02}) as server,
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
    assert [one.status for one in record.exchanges] == [408]
    assert caplog.text == ""
