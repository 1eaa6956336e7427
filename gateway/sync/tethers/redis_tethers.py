"""What gateways that share a Redis know of tied jobs: who was last seen to wait, and who cancels.

Until Redis has answered for long enough nobody may claim a job: the others, which could not say
either that they wait, must have had the time to.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from gateway.redis.connection import RedisConnection
from gateway.redis.link import FIRST_GAP_SECONDS, RedisLink, Unanswered
from gateway.sync.tethers import tether_scripts as scripts
from gateway.sync.tethers.tether_scripts import TethersUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config import RedisConfig
    from gateway.redis.connection import Command
    from gateway.sync.tethers.tether import TetherRecord
    from gateway.sync.tethers.tether_scripts import Claim

ANSWER_SECONDS: Final = 1.0
MAX_GAP_SECONDS: Final = 1.0
"""Between attempts to connect."""
SLACK_SECONDS: Final = 5.0
"""Time in which a gateway that waits tells so, once Redis answers again: a gap, which may be half
as long again, and the limits of connecting and of an answer."""


class RedisTethers:
    """``clock`` gives monotonic seconds, ``chance`` numbers from 0 to 1. A command may be carried
    out twice, where the connection was closed meanwhile. All methods raise TethersUnknown."""

    def __init__(
        self,
        config: RedisConfig,
        clock: Callable[[], float],
        chance: Callable[[], float],
        *,
        answer_seconds: float = ANSWER_SECONDS,
        first_gap_seconds: float = FIRST_GAP_SECONDS,
    ) -> None:
        self._link = RedisLink(
            RedisConnection,
            config,
            clock,
            chance,
            fails=(
                "Redis does not tell which jobs are waited for (%s): none is cancelled for a lost"
                " connection until it does"
            ),
            works="Redis tells again which jobs are waited for",
            first_gap_seconds=first_gap_seconds,
            max_gap_seconds=MAX_GAP_SECONDS,
        )
        self._connect_seconds = config.connect_seconds
        self._answer_seconds = answer_seconds
        self._clock = clock
        self._claimer = secrets.token_bytes(16)
        self._is_failing = False
        self._answers_since = float("-inf")

    async def open(self, job_id: str, record: TetherRecord) -> None:
        """Let all know of a job that is tied from now on."""
        await self._send(scripts.opening(job_id, record))

    async def look(self, job_id: str, creator: bytes) -> TetherRecord | None:
        """What is known of a job. If ``creator`` is its creator, somebody was just seen."""
        reply = await self._send(scripts.look(job_id, creator))
        try:
            return scripts.record_of(reply)
        except ValueError:
            raise TethersUnknown("what is kept of a job cannot be read") from None

    async def renew(self, job_ids: Sequence[str]) -> None:
        """Somebody is seen to wait for each of these."""
        await self._send(scripts.renewal(job_ids))

    async def let_go(self, job_id: str) -> None:
        """The job is not cancelled, until its creator comes again."""
        await self._send(scripts.letting_go(job_id))

    async def claim(self, job_id: str, unseen_seconds: float) -> Claim:
        """Claim a job that nobody was seen to wait for, for so long; with 0 in any case."""
        if unseen_seconds and self._is_new(unseen_seconds):
            # Nothing is claimed, but found out whether it answers.
            await self.renew([])
            raise TethersUnknown("Redis has not answered for long enough")
        reply = await self._send(scripts.claim(job_id, self._claimer, unseen_seconds))
        try:
            return scripts.claim_of(reply)
        except ValueError:
            raise TethersUnknown("what is kept of a job cannot be read") from None

    async def end(self, job_id: str) -> None:
        """Forget a job."""
        await self._send(scripts.end(job_id))

    async def aclose(self) -> None:
        await self._link.aclose()

    def _is_new(self, seconds: float) -> bool:
        """Others may not have had the time to tell that they wait."""
        is_new = self._clock() < self._answers_since + seconds + SLACK_SECONDS
        return self._is_failing or is_new

    async def _send(self, command: Command) -> object:
        async def ask(connection: RedisConnection) -> list[object]:
            return await connection.replies([command], self._answer_seconds)

        try:
            [reply] = await self._link.use(ask, self._connect_seconds)
        except Unanswered as failure:
            self._is_failing = True
            raise TethersUnknown(str(failure)) from failure
        if self._is_failing:
            self._is_failing = False
            self._answers_since = self._clock()
        return reply
