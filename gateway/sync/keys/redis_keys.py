"""Keys in Redis, which all gateways of an installation share.

Commands go one after the other over one connection, each within a time limit. Nothing of a request
stands there in clear: see ``keyed_request`` and ``sealing``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as RedisConnectionError

from gateway import redis_client
from gateway.backoff import Backoff
from gateway.errors import Field, IdempotencyUnavailable
from gateway.sync.keys.redis_scripts import claim, record_of, renewal, settlement

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio.connection import AbstractConnection

    from gateway.config import RedisConfig, SyncConfig
    from gateway.sync.keys.redis_scripts import Command
    from gateway.sync.keys.state import KeyName, KeyRecord

_log = logging.getLogger(__name__)

ANSWER_SECONDS = 1.0
"""How long an answer is waited for. Longer than for budgets: without it a request fails."""
FIRST_GAP_SECONDS = 0.25
MAX_GAP_SECONDS = 5.0
STEADY_SECONDS = 60.0
"""After answering for so long a new failure counts as the first."""
_RETRY_SOON: Field = (b"Retry-After", b"1")


class RedisKeys:
    """By the same rules as ``MemoryKeys``, but that the bytes of all are Redis's own concern."""

    def __init__(self, commands: RedisCommands, config: SyncConfig) -> None:
        self._commands = commands
        self.count = None
        self._seconds = config.idempotency_seconds
        self._most = config.idempotency_keys

    async def claim(self, name: KeyName, fingerprint: bytes, sender: bytes) -> KeyRecord:
        reply = await self._commands.send(claim(name, fingerprint, sender, self._seconds))
        try:
            return record_of(reply)
        except ValueError:
            raise IdempotencyUnavailable("What is kept of this key cannot be read") from None

    async def renew(self, name: KeyName, fingerprint: bytes, sender: bytes) -> None:
        await self._commands.send(renewal(name, fingerprint, sender, self._seconds))

    async def settle(self, name: KeyName, record: KeyRecord, sender: bytes) -> None:
        await self._commands.send(settlement(name, record, sender, self._seconds, self._most))

    async def aclose(self) -> None:
        await self._commands.aclose()


class RedisCommands:
    """``clock`` gives monotonic seconds, ``chance`` numbers from 0 to 1. After a failure nothing is
    tried for a while, so that nobody waits for a Redis that is down.

    A command may be carried out twice, where the connection was closed meanwhile.
    """

    def __init__(
        self, config: RedisConfig, clock: Callable[[], float], chance: Callable[[], float]
    ) -> None:
        self._config = config
        self._clock = clock
        self._chance = chance
        self._connection: AbstractConnection | None = None
        self._turn = asyncio.Lock()
        self._backoff = Backoff(FIRST_GAP_SECONDS, MAX_GAP_SECONDS, STEADY_SECONDS)
        self._answers_since = clock()
        self._trouble = ""
        """What was logged of its failure; empty while it does not fail."""
        self._not_before = 0.0

    async def send(self, command: Command) -> object:
        """The answer to a command.

        Raises:
            IdempotencyUnavailable: there is none.
        """
        async with self._turn:
            if self._trouble and self._clock() < self._not_before:
                raise _unavailable()
            try:
                reply = await self._answered(command)
            except RedisFailure as failure:
                self._failed(str(failure))
                raise _unavailable() from failure
            if self._trouble:
                self._trouble = ""
                self._answers_since = self._clock()
                _log.warning("Redis keeps idempotency keys again")
            return reply

    async def aclose(self) -> None:
        async with self._turn:
            await self._drop()

    async def _answered(self, command: Command) -> object:
        """The answer; asked once more where the other side has closed a connection that was
        idle."""
        was_open = self._connection is not None
        try:
            return await self._asked(command)
        except ConnectionClosed:
            if not was_open:
                raise
        return await self._asked(command)

    async def _asked(self, command: Command) -> object:
        """
        Raises:
            RedisFailure: the connection is closed.
        """
        is_answered = False
        try:
            connection = self._connection or await self._opened()
            async with asyncio.timeout(ANSWER_SECONDS):
                packed = connection.pack_commands([command])
                await connection.send_packed_command(packed, check_health=False)
                reply: object = await connection.read_response()
            is_answered = True
        except RedisFailure:
            raise
        except TimeoutError:
            raise RedisFailure(f"no answer within {ANSWER_SECONDS:g} s") from None
        except Exception as failure:
            # The library has kinds of its own for some of what a server says, below this one.
            is_closed = type(failure) is RedisConnectionError
            kind = ConnectionClosed if is_closed else RedisFailure
            raise kind(redis_client.reason(failure)) from failure
        else:
            return reply
        finally:
            if not is_answered:
                # Also where this task is cancelled: the answer would be taken for another's.
                await self._drop()

    async def _opened(self) -> AbstractConnection:
        seconds = self._config.connect_seconds
        connection = redis_client.connection(self._config)
        try:
            async with asyncio.timeout(seconds):
                await connection.connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            raise RedisFailure(f"no connection within {seconds:g} s") from None
        except Exception as failure:
            raise RedisFailure(redis_client.reason(failure)) from failure
        finally:
            self._connection = connection
        return connection

    def _failed(self, reason: str) -> None:
        if not self._trouble:
            self._backoff.lasted(self._clock() - self._answers_since)
        self._not_before = self._clock() + self._backoff.gap(self._chance())
        if reason != self._trouble:
            self._trouble = reason
            _log.warning(
                "Redis keeps no idempotency keys (%s): creations with one get 503 until it does",
                reason,
            )

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


class RedisFailure(Exception):
    """There is no answer; the message says why, on one line."""


class ConnectionClosed(RedisFailure):
    """The other side has ended the connection."""


def _unavailable() -> IdempotencyUnavailable:
    message = "Idempotency keys cannot be looked up at the moment; no job was created"
    return IdempotencyUnavailable(message, fields=(_RETRY_SOON,))
