"""One connection to a Redis, from connecting to closing, with time limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.redis.client import connection, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config import RedisConfig

Command = tuple[str | bytes | int, ...]


class Unusable(Exception):
    """Nothing is to be had over this connection any more; the message says why, on one line."""


class Closed(Unusable):
    """The other side has ended the connection, as it does with one that was idle for long."""


class RedisConnection:
    """Not open yet; whoever uses it closes it after a failure, and where it was cancelled."""

    is_tried = False
    """That it could be opened does not show that commands are carried out."""

    def __init__(self, config: RedisConfig) -> None:
        self._connection = connection(config)
        self._connect_seconds = config.connect_seconds

    async def open(self) -> None:
        """
        Raises:
            Unusable
        """
        seconds = self._connect_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._connection.connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            raise Unusable(f"no connection within {seconds:g} s") from None
        except Exception as failure:
            # Any, as the library has no one kind for what is no Redis at all.
            raise Unusable(reason(failure)) from failure

    async def replies(
        self,
        commands: Sequence[Command],
        seconds: float,
        expected: tuple[type[Exception], ...] = (),
    ) -> list[object]:
        """The replies to commands that are sent at once, errors that are ``expected`` among them.

        Raises:
            Closed, Unusable
        """
        try:
            async with asyncio.timeout(seconds):
                packed = self._connection.pack_commands(commands)
                await self._connection.send_packed_command(packed, check_health=False)
                return [await self._reply(expected) for _ in commands]
        except TimeoutError:
            raise Unusable(f"no answer within {seconds:g} s") from None
        except Exception as failure:
            # The library has kinds of its own for some of what a server says, below this one.
            is_closed = type(failure) is RedisConnectionError
            raise (Closed if is_closed else Unusable)(reason(failure)) from failure

    async def close(self) -> None:
        """Let go of the connection without waiting for the other side."""
        await self._connection.disconnect(nowait=True)

    async def _reply(self, expected: tuple[type[Exception], ...]) -> object:
        try:
            reply: object = await self._connection.read_response()
        except expected as failure:
            return failure
        return reply
