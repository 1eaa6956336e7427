"""Records in a Redis: bytes under a name, for a time. One connection, one command at a time.

Nothing waits for long and nothing fails because Redis does: what it does not do within a short time
is not done, and after a failure nothing is asked of it until a gap is over, which grows.

    closed -- somebody asks --> opening --> open -- an error, silence --> closed, until the gap is
      |                           |           |                            over
      +-- within the gap: no      +- failed --+--- closed by the other side while it was idle:
                                                   once more, in silence
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from gateway import redis_client
from gateway.backoff import Backoff
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio.connection import AbstractConnection

    from gateway.config import RedisConfig

TRANSFER_SECONDS = 0.5
"""Time for a record to be carried, on top of an answer's: it may have megabytes."""
FIRST_GAP_SECONDS = 0.25
MAX_GAP_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""After answering for so long a new failure counts as the first."""
_log = logging.getLogger(__name__)


class Unanswered(Exception):
    """Redis has not done what it was asked for, or not said so in time."""


class RecordsClosed(Unanswered):
    """The connection has ended meanwhile."""


class RedisRecords:
    """``clock`` gives monotonic seconds, ``chance`` numbers from 0 to 1."""

    def __init__(
        self,
        config: RedisConfig,
        clock: Callable[[], float],
        chance: Callable[[], float],
        *,
        transfer_seconds: float = TRANSFER_SECONDS,
    ) -> None:
        self._config = config
        self._reply_seconds = config.answer_seconds + transfer_seconds
        self._clock = clock
        self._chance = chance
        self._connection: AbstractConnection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._tasks = Tasks()
        self._backoff = Backoff(FIRST_GAP_SECONDS, MAX_GAP_SECONDS, STEADY_SECONDS)
        self._closed_until = float("-inf")
        self._answers_since = clock()
        self._trouble = ""
        """What was logged of its failure; empty while it does not fail."""
        self.failures = 0
        """How often it did not do what it was asked for."""

    @property
    def may_answer(self) -> bool:
        """False where nothing is asked, for it has failed a moment ago."""
        return self._connection is not None or self._clock() >= self._closed_until

    async def put(self, name: str, record: bytes, seconds: float) -> None:
        """Store a record for so long; whoever calls has the time to wait for a connection.

        Raises:
            Unanswered
        """
        milliseconds = max(1, round(seconds * 1000))
        await self._asked(
            self._config.connect_seconds, "SET", name, record, "PX", str(milliseconds)
        )

    async def get(self, name: str, max_bytes: int) -> bytes:
        """A record, empty where there is none, or one of more than ``max_bytes``.

        Raises:
            Unanswered
        """
        patience = self._config.answer_seconds
        reply = await self._asked(patience, "GETRANGE", name, "0", str(max_bytes))
        return reply if isinstance(reply, bytes) and len(reply) <= max_bytes else b""

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._drop()

    async def _asked(self, patience: float, *command: str | bytes) -> object:
        """The reply to a command; a connection is waited for up to ``patience`` seconds."""
        try:
            try:
                return await self._attempted(patience, command)
            except RecordsClosed:
                # As the other side does with one that was idle for long.
                return await self._attempted(patience, command)
        except RecordsClosed as failure:
            self._fails(str(failure))
            self.failures += 1
            raise
        except Unanswered:
            self.failures += 1
            raise

    async def _attempted(self, patience: float, command: tuple[str | bytes, ...]) -> object:
        connection = await self._opened(patience)
        async with self._turn:
            if connection is not self._connection:
                raise RecordsClosed("the connection was lost")
            is_usable = False
            try:
                reply = await self._exchanged(connection, command)
                is_usable = True
            except OutOfMemoryError as failure:
                # It still gives what it has.
                is_usable = True
                self._says(redis_client.reason(failure))
                raise Unanswered(self._trouble) from failure
            finally:
                if not is_usable:
                    # Else the next command would be given this one's reply.
                    await self._drop()
        self._says("")
        return reply

    async def _exchanged(
        self, connection: AbstractConnection, command: tuple[str | bytes, ...]
    ) -> object:
        seconds = self._reply_seconds
        try:
            async with asyncio.timeout(seconds):
                await connection.send_command(*command, check_health=False)
                reply: object = await connection.read_response()
        except OutOfMemoryError:
            raise
        except TimeoutError:
            self._fails(f"no answer within {seconds:g} s")
            raise Unanswered(self._trouble) from None
        except Exception as failure:
            # The library has kinds of its own for some of what a server says, below this one.
            if type(failure) is RedisConnectionError:
                raise RecordsClosed(redis_client.reason(failure)) from failure
            self._fails(redis_client.reason(failure))
            raise Unanswered(self._trouble) from failure
        return reply

    async def _opened(self, patience: float) -> AbstractConnection:
        if self._connection is None and self._opening is None:
            if not self.may_answer:
                raise Unanswered(self._trouble)
            self._opening = self._tasks.spawn(self._open(), name="connect to Redis for results")
        if self._opening is not None:
            await asyncio.wait([self._opening], timeout=patience)
        if self._connection is None:
            raise Unanswered(self._trouble or "no connection in time")
        return self._connection

    async def _open(self) -> None:
        connection = redis_client.connection(self._config)
        seconds = self._config.connect_seconds
        try:
            async with asyncio.timeout(seconds):
                await connection.connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            self._fails(f"no connection within {seconds:g} s")
        except Exception as failure:
            # Any, as the library has no one kind for what is no Redis at all.
            self._fails(redis_client.reason(failure))
        else:
            self._connection = connection
        finally:
            self._opening = None
            if self._connection is not connection:
                await connection.disconnect(nowait=True)

    def _fails(self, trouble: str) -> None:
        """Ask nothing until a gap is over."""
        now = self._clock()
        if not self._trouble:
            self._backoff.lasted(now - self._answers_since)
        self._closed_until = now + self._backoff.gap(self._chance())
        self._says(trouble)

    def _says(self, trouble: str) -> None:
        """Log that it fails, or does so for another reason, or no more."""
        if trouble == self._trouble:
            return
        if trouble:
            _log.warning("redis: results are kept in this process only: %s", trouble)
        else:
            self._answers_since = self._clock()
            _log.warning("redis: results are kept there again")
        self._trouble = trouble

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
