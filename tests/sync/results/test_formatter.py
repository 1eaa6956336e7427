"""Where results are made, and what they take meanwhile and afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gateway.admission.limits.buffers import Buffers
from gateway.config import SyncConfig
from gateway.errors import MemoryFull, ResponseTooLarge
from gateway.protocols.http.query import Query
from gateway.protocols.theeye.job import parse_job
from gateway.sync.results.formats import result_format
from gateway.sync.results.formatter import AT_ONCE_BYTES, Formatter
from gateway.sync.results.parsing import ParsingThread
from tests.support.theeye import exchange, finished, plenty

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import Response

KIB = 1024
LARGE = finished(output=["[" + "1," * AT_ONCE_BYTES + "1]", "2"])


class Threads(ParsingThread):
    """Counts what is given to it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def run(self, client: bytes, function: Callable[..., Any], *arguments: Any) -> Any:
        self.asked += 1
        return await super().run(client, function, *arguments)


def made(
    content: bytes,
    query: str,
    buffers: Buffers | None = None,
    *,
    threads: Threads | None = None,
    **settings: int,
) -> tuple[Response, int, int]:
    """The result, the bytes that it takes, and how often the thread was needed."""
    job = parse_job(content)
    assert job is not None
    threads, asking = threads or Threads(), exchange("GET", "/")
    buffered = asking.buffered = (buffers or plenty()).of(asking.identity.key)
    config = msgspec.convert(settings, SyncConfig)

    async def scenario() -> Response:
        try:
            wanted = result_format(Query(query), "4.6")
            return await Formatter(threads, config).result(asking, job, wanted)
        finally:
            threads.close()

    response = asyncio.run(scenario())
    return response, buffered.size, threads.asked


@pytest.mark.parametrize(
    ("content", "query", "asked"),
    [
        (LARGE, "parse=1", 1),
        (LARGE, "parse", 1),
        (LARGE, "output", 0),
        (LARGE, "full", 0),
        (finished(), "parse", 0),
    ],
)
def test_large_outputs_are_parsed_in_the_thread(content: bytes, query: str, asked: int) -> None:
    response, size, found = made(content, query)
    assert response.status == 200
    assert size == len(response.content)
    assert found == asked


def test_job_for_which_there_is_no_room_is_not_made_a_result_of() -> None:
    with pytest.raises(MemoryFull):
        made(LARGE, "parse=1", Buffers(4 * KIB, KIB))


def test_element_that_is_too_large_is_refused_from_the_thread() -> None:
    threads = Threads()
    with pytest.raises(ResponseTooLarge):
        made(LARGE, "parse", threads=threads, parse_bytes=AT_ONCE_BYTES)
    assert threads.asked == 1
