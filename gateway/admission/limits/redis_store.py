"""One connection to a Redis that decides on budgets, from connecting to closing.

A server may take commands and yet decide nothing: a replica after a failover, one that is full or
still loads its data, one whose user may not write. So a connection is open only once it has made a
decision, on a key of its own, and any error reply to another ends it: the next one leads to
whichever server has the name by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import NoScriptError

from gateway.admission.limits.redis_script import trial
from gateway.redis.connection import RedisConnection, Unusable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.admission.limits.memory_budgets import Verdict
    from gateway.admission.limits.redis_script import ScriptCall
    from gateway.config import RedisConfig


class RedisStore:
    """Not open yet. ``answer_seconds`` of the settings is the time for each answer."""

    is_tried = True
    """An open one has decided."""

    def __init__(self, config: RedisConfig) -> None:
        self._connection = RedisConnection(config)
        self._answer_seconds = config.answer_seconds

    async def open(self) -> None:
        """Connect, and see a decision made in time.

        Raises:
            Unusable
        """
        await self._connection.open()
        call = trial()
        _verdicts([call], await self._replies([call.by_text]))

    async def decide(self, calls: Sequence[ScriptCall]) -> list[Verdict]:
        """The verdict on each call; one round trip, and another where the server has forgotten the
        script.

        Raises:
            Closed, Unusable: the connection has to be closed.
        """
        replies = await self._replies([call.by_hash for call in calls])
        forgotten = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if forgotten:
            first, *others = (calls[at] for at in forgotten)
            again = await self._replies([first.by_text, *(call.by_hash for call in others)])
            for at, reply in zip(forgotten, again, strict=True):
                replies[at] = reply
        return _verdicts(calls, replies)

    async def close(self) -> None:
        """Let go of the connection without waiting for the other side."""
        await self._connection.close()

    async def _replies(self, commands: Sequence[tuple[int | str, ...]]) -> list[object]:
        """The replies to commands that are sent at once, unknown scripts among them."""
        return await self._connection.replies(commands, self._answer_seconds, (NoScriptError,))


def _verdicts(calls: Sequence[ScriptCall], replies: Sequence[object]) -> list[Verdict]:
    try:
        return [call.verdict(reply) for call, reply in zip(calls, replies, strict=True)]
    except ValueError:
        raise Unusable("what it says is no verdict") from None
