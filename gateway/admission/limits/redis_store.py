"""One connection to a Redis that decides on budgets, from connecting to closing.

A server may take commands and yet decide nothing: a replica after a failover, one that is full or
still loads its data, one whose user may not write. So a connection is open only once it has made a
decision, on a key of its own, and any error reply to another ends it: the next one leads to
whichever server has the name by then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

from gateway.admission.limits.redis_script import trial
from gateway.redis_client import reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio.connection import AbstractConnection

    from gateway.admission.limits.memory_budgets import Verdict
    from gateway.admission.limits.redis_script import ScriptCall


class Unusable(Exception):
    """No decisions are to be had over this connection; the message says why, on one line."""


class Closed(Unusable):
    """The other side has ended the connection, as it does with one that was idle for long."""


class RedisStore:
    """Over a connection of redis-py that is not connected yet and has no time limits."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def open(self, connect_seconds: float, answer_seconds: float) -> None:
        """Connect, and see a decision made in time.

        Raises:
            Unusable
        """
        try:
            async with asyncio.timeout(connect_seconds):
                await self._connection.connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            raise Unusable(f"no connection within {connect_seconds:g} s") from None
        except Exception as failure:
            # Any, as the library has no one kind for what is no Redis at all.
            raise Unusable(reason(failure)) from failure
        call = trial()
        _verdicts([call], await self._replied([call.by_text], answer_seconds))

    async def decide(self, calls: Sequence[ScriptCall], answer_seconds: float) -> list[Verdict]:
        """The verdict on each call; one round trip, and another where the server has forgotten the
        script.

        Raises:
            Closed, Unusable: the connection has to be closed.
        """
        replies = await self._replied([call.by_hash for call in calls], answer_seconds)
        forgotten = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if forgotten:
            first, *others = (calls[at] for at in forgotten)
            commands = [first.by_text, *(call.by_hash for call in others)]
            again = await self._replied(commands, answer_seconds)
            for at, reply in zip(forgotten, again, strict=True):
                replies[at] = reply
        return _verdicts(calls, replies)

    async def close(self) -> None:
        """Let go of the connection without waiting for the other side."""
        await self._connection.disconnect(nowait=True)

    async def _replied(
        self, commands: Sequence[tuple[int | str, ...]], seconds: float
    ) -> list[object]:
        """The replies to commands that are sent at once, unknown scripts among them."""
        try:
            async with asyncio.timeout(seconds):
                packed = self._connection.pack_commands(commands)
                await self._connection.send_packed_command(packed, check_health=False)
                return [await self._reply() for _ in commands]
        except TimeoutError:
            raise Unusable(f"no answer within {seconds:g} s") from None
        except Exception as failure:
            # The library has kinds of its own for some of what a server says, below this one.
            is_closed = type(failure) is RedisConnectionError
            raise (Closed if is_closed else Unusable)(reason(failure)) from failure

    async def _reply(self) -> object:
        try:
            reply: object = await self._connection.read_response()
        except NoScriptError as unknown:
            return unknown
        return reply


def _verdicts(calls: Sequence[ScriptCall], replies: Sequence[object]) -> list[Verdict]:
    try:
        return [call.verdict(reply) for call, reply in zip(calls, replies, strict=True)]
    except ValueError:
        raise Unusable("what it says is no verdict") from None
