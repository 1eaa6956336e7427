"""Subscription at a Redis, from connecting to closing: its messages, and signs of life.

What redis-py raises becomes ``Lost`` here, and so does silence: a Redis may accept a connection and
then hang, and a subscription over which nothing comes looks the same whether it is well or dead.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.redis.client import reason

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

PATTERNS = (b"*:job-finished:*", b"*:workflow-job-finished:*")
MAX_UNANSWERED = 2
"""Bound of PINGs without a reply. One may be due to this process having been busy."""
_PONGS = ([b"pong", b""], b"PONG")
"""Replies to PING within a subscription, in RESP2 and in RESP3."""


class Lost(Exception):
    """The subscription is gone or could not be had; the message says why, on one line."""


class Subscription:
    """Takes a connection of redis-py that is not connected yet and has no time limits."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._unanswered = 0

    async def open(self, seconds: float) -> None:
        """Connect and subscribe, within ``seconds``; done when both patterns are confirmed.

        Raises:
            Lost: also where Redis refuses, or something else listens.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._connection.connect()  # type: ignore[no-untyped-call]
                await self._send("PSUBSCRIBE", *PATTERNS)
                missing = set(PATTERNS)
                while missing:
                    # What comes between is made good by polling all jobs afterwards.
                    missing.discard(_confirmed(await self._read()))
                    await asyncio.sleep(0)
        except TimeoutError:
            raise Lost(f"no subscription within {seconds:g} s") from None
        except Lost:
            raise
        except Exception as failure:
            raise Lost(reason(failure)) from failure

    async def message(self) -> object:
        """The next reply of Redis, but for those to PING; it may be anything.

        Raises:
            Lost: the connection is closed, or what comes is not Redis's protocol.
        """
        while (reply := await self._read()) in _PONGS:
            self._unanswered = 0
        return reply

    async def ping(self) -> None:
        """Ask for a sign of life, to be called again and again.

        Raises:
            Lost: the last ``MAX_UNANSWERED`` were not answered.
        """
        if self._unanswered >= MAX_UNANSWERED:
            raise Lost("it does not answer")
        self._unanswered += 1
        await self._send("PING")

    async def close(self) -> None:
        """Let go of the connection without waiting for the other side."""
        await self._connection.disconnect(nowait=True)

    async def _send(self, *command: str | bytes) -> None:
        try:
            await self._connection.send_command(*command, check_health=False)
        except Exception as failure:
            raise Lost(reason(failure)) from failure

    async def _read(self) -> object:
        try:
            reply: object = await self._connection.read_response(push_request=True)
        except Exception as failure:
            # Whatever makes the parser fail: the peer does not speak Redis's protocol, or no more.
            raise Lost(reason(failure)) from failure
        return reply


def _confirmed(reply: object) -> bytes:
    """The pattern that is subscribed to from now on, empty where it is another reply."""
    if isinstance(reply, list) and len(reply) == 3 and reply[0] == b"psubscribe":
        return reply[1] if isinstance(reply[1], bytes) else b""
    return b""
