from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.cli.trying.finding import Grade
from gateway.cli.trying.upstream import try_upstream
from gateway.config import UpstreamConfig
from tests.support.upstream import Peer, upstream_answering, upstream_doing

if TYPE_CHECKING:
    from gateway.demo.orchestrator import Orchestrator


async def test_orchestrator_that_answers_is_told_with_its_times(orchestrator: Orchestrator) -> None:
    found = await try_upstream(UpstreamConfig(url=orchestrator.url), 5)
    assert found.verdict is Grade.OK
    assert found.what == f"upstream.url {orchestrator.url}"
    assert "GET /api is answered with 200, connected in " in found.said


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", Grade.OK, "answered with 404"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", Grade.FAILED, "answered with 503"),
        (b"SSH-2.0-OpenSSH\r\n", Grade.FAILED, "speaks no HTTP/1.1"),
        (b"HTTP/1.1 2000\r\n", Grade.FAILED, "speaks no HTTP/1.1"),
        (b"x" * 100_000, Grade.FAILED, "ValueError"),
    ],
)
async def test_what_answers_is_judged_by_its_status(
    answer: bytes, verdict: Grade, said: str
) -> None:
    async with upstream_answering(answer) as script:
        found = await try_upstream(UpstreamConfig(url=script.url), 5)
    assert found.verdict is verdict
    assert said in found.said
    assert script.heads[0].startswith(b"GET /api HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_upstream_that_is_silent_is_given_up() -> None:
    async def say_nothing(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()

    async with upstream_doing(say_nothing) as script:
        found = await try_upstream(UpstreamConfig(url=script.url), 0.03)
    assert (found.verdict, found.said) == (Grade.FAILED, "no answer in time")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9", "the connection is refused"),
        ("unix:/missing/socket", "No such file or directory"),
    ],
)
async def test_upstream_that_cannot_be_reached_is_told_with_the_reason(url: str, said: str) -> None:
    found = await try_upstream(UpstreamConfig(url=url), 5)
    assert (found.verdict, found.said) == (Grade.FAILED, said)
    assert found.hint


async def test_upstream_that_speaks_no_tls_is_told() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with upstream_doing(refuse) as script:
        url = script.url.replace("http://", "https://")
        found = await try_upstream(UpstreamConfig(url=url), 5)
    assert found.verdict is Grade.FAILED
    assert "no TLS" in found.said
