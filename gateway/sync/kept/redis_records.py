"""Records in a Redis: bytes under a name, for a time. One command at a time.

Nothing waits for long and nothing fails because Redis does: what it does not do within a short time
is not done, and while it fails nothing is asked of it (``RedisLink``).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from redis.exceptions import OutOfMemoryError

from gateway.redis.client import reason
from gateway.redis.connection import RedisConnection
from gateway.redis.link import FIRST_GAP_SECONDS, RedisLink, Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import RedisConfig
    from gateway.redis.connection import Command

TRANSFER_SECONDS = 0.5
"""Time for a record to be carried, on top of an answer's: it may have megabytes."""
_FAILS = "redis: results are kept in this process only: %s"
_WORKS = "redis: results are kept there again"
_log = logging.getLogger(__name__)


class RedisRecords:
    """``clock`` gives monotonic seconds, ``chance`` numbers from 0 to 1."""

    def __init__(
        self,
        config: RedisConfig,
        clock: Callable[[], float],
        chance: Callable[[], float],
        *,
        transfer_seconds: float = TRANSFER_SECONDS,
        first_gap_seconds: float = FIRST_GAP_SECONDS,
    ) -> None:
        self._link = RedisLink(
            RedisConnection,
            config,
            clock,
            chance,
            fails=_FAILS,
            works=_WORKS,
            first_gap_seconds=first_gap_seconds,
        )
        self._connect_seconds = config.connect_seconds
        self._answer_seconds = config.answer_seconds
        self._reply_seconds = config.answer_seconds + transfer_seconds
        self._is_full = False
        self.failures = 0
        """How often it did not do what it was asked for."""

    @property
    def may_answer(self) -> bool:
        """False where nothing is asked, for it has failed a moment ago."""
        return self._link.is_answering

    async def put(self, name: str, record: bytes, seconds: float) -> None:
        """Store a record for so long; whoever calls has the time to wait for a connection.

        Raises:
            Unanswered
        """
        milliseconds = max(1, round(seconds * 1000))
        command = ("SET", name, record, "PX", milliseconds)
        self._full(await self._asked(self._connect_seconds, command))

    async def get(self, name: str, max_bytes: int) -> bytes:
        """A record, empty where there is none, or one of more than ``max_bytes``.

        Raises:
            Unanswered
        """
        reply = await self._asked(self._answer_seconds, ("GETRANGE", name, 0, max_bytes))
        return reply if isinstance(reply, bytes) and len(reply) <= max_bytes else b""

    async def aclose(self) -> None:
        await self._link.aclose()

    async def _asked(self, patience_seconds: float, command: Command) -> object:
        """The reply to a command, or that Redis is full; a connection is waited for as long as the
        patience lasts."""

        async def ask(connection: RedisConnection) -> list[object]:
            return await connection.replies([command], self._reply_seconds, (OutOfMemoryError,))

        try:
            [reply] = await self._link.use(ask, patience_seconds)
        except Unanswered:
            self.failures += 1
            raise
        return reply

    def _full(self, reply: object) -> None:
        """A full one still gives what it has, so nothing else is changed by that."""
        was_full, self._is_full = self._is_full, isinstance(reply, OutOfMemoryError)
        if not isinstance(reply, OutOfMemoryError):
            if was_full:
                _log.warning(_WORKS)
            return
        self.failures += 1
        if not was_full:
            _log.warning(_FAILS, reason(reply))
        raise Unanswered(reason(reply))
