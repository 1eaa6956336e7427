"""Every recorded exchange goes through the gateway as it goes without it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import gateway_before, without_what_varies
from tests.support.replay import (
    Replay,
    Response,
    ask,
    exchanges_of,
    recorded_orchestrator,
    scenarios,
)

if TYPE_CHECKING:
    from collections.abc import Callable

HOP_BY_HOP = ("Connection", "Keep-Alive")
SYNC_MODE: dict[str, dict[int, str]] = {
    "auth_errors": {16: "401 Unauthorized"},
    "autoremove": {1: "404 Not Found"},
    "cancel": dict.fromkeys((3, 4), "500 Internal Server Error"),
    "cors": dict.fromkeys((0, 1), "204 No Content"),
    "job_cross_organization": {4: "404 Not Found"},
    "job_read_errors": dict.fromkeys((3, 10, 11), "404 Not Found") | {7: "400 Bad Request"},
    "result_agent_error": {2: "500 Internal Server Error"},
    "result_killed": dict.fromkeys(range(5), "500 Internal Server Error"),
    "workflow_job_more": {2: "303 See Other"},
    "wait_ignored": {0: "303 See Other", 1: "200 OK", 2: "200 OK"},
}
"""The exchanges in which the gateway does its own work, and the statuses it answers."""
_PORT = re.compile(rb"127\.0\.0\.1:\d+")


def comparable(response: Response) -> tuple[str, list[tuple[str, str]], bytes]:
    fields = [
        (name, "" if name == "Date" else value)
        for name, value in response.fields
        if name not in HOP_BY_HOP
    ]
    content = _PORT.sub(b"HOST", without_what_varies(response.content))
    return response.status_line, fields, content


async def play(scenario: str, url_of: Callable[[str, str], str]) -> list[Response]:
    """The answers to a scenario's requests, sent to what ``url_of(orchestrator, gateway)`` says."""
    exchanges = exchanges_of(scenario)
    answers: list[Response] = []
    async with (
        recorded_orchestrator() as orchestrator,
        gateway_before(orchestrator.url) as server,
    ):

        async def send(message: bytes) -> Response:
            answers.append(await ask(url_of(orchestrator.url, server.url), message))
            return answers[-1]

        playing = Replay(orchestrator, exchanges, send)
        for exchange in exchanges:
            await playing.differences(exchange)
    return answers


@pytest.mark.parametrize("scenario", scenarios())
async def test_recorded_exchanges_go_through_as_they_go_without(scenario: str) -> None:
    direct = await play(scenario, lambda orchestrator, _: orchestrator)
    through = await play(scenario, lambda _, gateway: gateway)
    assert len(direct) == len(through) > 0
    changed = {
        number: theirs.status_line.removeprefix("HTTP/1.1 ")
        for number, (ours, theirs) in enumerate(zip(direct, through, strict=True))
        if comparable(ours) != comparable(theirs)
    }
    assert changed == SYNC_MODE.get(scenario, {})
