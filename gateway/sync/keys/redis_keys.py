"""Keys in Redis, which all gateways of an installation share.

Commands go one after the other over one connection, each within a time limit. Nothing of a request
stands there in clear: see ``keyed_request`` and ``sealing``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import Field, IdempotencyUnavailable
from gateway.redis.connection import RedisConnection
from gateway.redis.link import FIRST_GAP_SECONDS, RedisLink, Unanswered
from gateway.sync.keys.redis_scripts import claim, record_of, renewal, settlement
from gateway.sync.keys.state import ABSENT
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import RedisConfig, SyncConfig
    from gateway.redis.connection import Command
    from gateway.sync.keys.state import KeyName, KeyRecord

ANSWER_SECONDS = 1.0
"""How long an answer is waited for. Longer than for budgets: without it a request fails."""
MAX_GAP_SECONDS = 5.0
RELEASE_GAP_SECONDS = 0.1
MAX_UNSURE = 1000
_RETRY_SOON: Field = (b"Retry-After", b"1")


class RedisKeys:
    """By the same rules as ``MemoryKeys``, but that the bytes of all are Redis's own concern.

    ``clock`` gives monotonic seconds, ``chance`` numbers from 0 to 1. A command may be carried out
    twice, where the connection was closed meanwhile. A claim that Redis was sent and did not answer
    may have been carried out: its sender is told that there is no telling, sends nothing, and the
    key is released as soon as Redis answers.
    """

    def __init__(
        self,
        redis: RedisConfig,
        clock: Callable[[], float],
        chance: Callable[[], float],
        config: SyncConfig,
        *,
        first_gap_seconds: float = FIRST_GAP_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._link = RedisLink(
            RedisConnection,
            redis,
            clock,
            chance,
            fails=(
                "Redis keeps no idempotency keys (%s): creations with one get 503 until it does"
            ),
            works="Redis keeps idempotency keys again",
            first_gap_seconds=first_gap_seconds,
            max_gap_seconds=MAX_GAP_SECONDS,
        )
        self.count = None
        self._connect_seconds = redis.connect_seconds
        self._answer_seconds = answer_seconds
        self._config = config
        self._unsure: dict[bytes, KeyName] = {}
        """By sender: keys that it may have claimed without being told."""
        self._tasks = Tasks()
        self._is_releasing = False

    def reconfigure(self, config: SyncConfig) -> None:
        self._config = config

    async def claim(self, name: KeyName, fingerprint: bytes, sender: bytes) -> KeyRecord:
        await self._release()
        try:
            reply = await self._asked(
                claim(name, fingerprint, sender, self._config.idempotency_seconds)
            )
        except Unanswered as failure:
            if failure.was_asked:
                self._doubt(name, sender)
            raise _unavailable() from failure
        except asyncio.CancelledError:
            self._doubt(name, sender)
            raise
        try:
            return record_of(reply)
        except ValueError:
            raise IdempotencyUnavailable("What is kept of this key cannot be read") from None

    async def renew(self, name: KeyName, fingerprint: bytes, sender: bytes) -> None:
        seconds = self._config.idempotency_seconds
        await self._told(renewal(name, fingerprint, sender, seconds))

    async def settle(self, name: KeyName, record: KeyRecord, sender: bytes) -> None:
        seconds, most = self._config.idempotency_seconds, self._config.idempotency_keys
        await self._told(settlement(name, record, sender, seconds, most))

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._link.aclose()

    async def _asked(self, command: Command) -> object:
        async def ask(connection: RedisConnection) -> list[object]:
            return await connection.replies([command], self._answer_seconds)

        [reply] = await self._link.use(ask, self._connect_seconds)
        return reply

    async def _told(self, command: Command) -> None:
        try:
            await self._asked(command)
        except Unanswered as failure:
            raise _unavailable() from failure

    def _doubt(self, name: KeyName, sender: bytes) -> None:
        if len(self._unsure) < MAX_UNSURE:
            self._unsure[sender] = name
        if not self._is_releasing:
            self._is_releasing = True
            self._tasks.spawn(self._keep_releasing(), name="release keys")

    async def _keep_releasing(self) -> None:
        try:
            while self._unsure:
                await asyncio.sleep(RELEASE_GAP_SECONDS)
                if self._link.is_answering:
                    try:
                        await self._release()
                    except IdempotencyUnavailable:
                        continue
        finally:
            self._is_releasing = False

    async def _release(self) -> None:
        """Let go of keys that were claimed in vain; those of other senders stay as they are.

        Raises:
            IdempotencyUnavailable
        """
        while self._unsure:
            sender, name = self._unsure.popitem()
            is_released = False
            try:
                await self.settle(name, ABSENT, sender)
                is_released = True
            finally:
                if not is_released:
                    self._unsure[sender] = name


def _unavailable() -> IdempotencyUnavailable:
    message = "Idempotency keys cannot be looked up at the moment; no job was created"
    return IdempotencyUnavailable(message, fields=(_RETRY_SOON,))
