"""Making a finished job's result: where, and with how much memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sync.results.formats import result_response

if TYPE_CHECKING:
    from gateway.config import SyncConfig
    from gateway.downstream.exchange import Exchange
    from gateway.errors import Response
    from gateway.protocols.theeye.job import Job
    from gateway.sync.results.formats import Format
    from gateway.sync.results.parsing import ParsingThread

AT_ONCE_BYTES = 4 * 1024
"""A larger output is parsed in a thread: hostile ones take 1.4 ms for each KiB."""


class Formatter:
    """Uses ``thread`` for what takes long."""

    def __init__(self, thread: ParsingThread, config: SyncConfig) -> None:
        self._parsing = thread
        self._config = config

    def reconfigure(self, config: SyncConfig) -> None:
        self._config = config

    async def result(self, exchange: Exchange, job: Job, wanted: Format) -> Response:
        """The response to a result request; from then on ``exchange.buffered`` has its content, and
        nothing else.

        Raises:
            ResponseTooLarge: as ``result_response`` does.
            MemoryFull: there is no room for the job.
            Overloaded: too much is waiting to be parsed.
        """
        buffered = exchange.buffered
        assert buffered is not None, "whoever asks for a result has made room"
        buffered.become(0)
        buffered.grow(job.held_bytes)
        arguments = job, wanted, self._config.profile, self._config.parse_bytes
        if wanted.is_parsed and len(memoryview(job.output_json)) > AT_ONCE_BYTES:
            response = await self._parsing.run(exchange.identity.key, result_response, *arguments)
        else:
            response = result_response(*arguments)
        buffered.become(len(response.content))
        return response
