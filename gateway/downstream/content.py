"""A request's content as its client sends it: piece by piece, and no slower than it may.

A client has ``FLOOR_SECONDS`` to spare. Waiting for it spends them, and each byte buys some back.
So a client slower than the floor is given up after a while, or at one pause of ``FLOOR_SECONDS``;
one whose content waits for the upstream is not, for it is not waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.errors import BadRequest, ClientGone, RequestTimeout

if TYPE_CHECKING:
    from aiohttp import StreamReader

FLOOR_SECONDS = 30.0
"""What the rate of a client is averaged over."""
_NO_MORE = (TimeoutError, ConnectionError, HttpProcessingError, web.RequestPayloadError)


class RequestContent:
    """``idle_seconds`` bounds each wait for more; ``floor`` is the least rate in bytes a second, 0
    for none. ``on_awaited`` is called before each wait."""

    __slots__ = ("_floor", "_idle_seconds", "_on_awaited", "_payload", "_spare")

    def __init__(
        self,
        payload: StreamReader,
        *,
        idle_seconds: float,
        floor: float,
        on_awaited: Callable[[], None],
    ) -> None:
        self._payload = payload
        self._idle_seconds = idle_seconds
        self._floor = floor
        self._on_awaited = on_awaited
        self._spare = FLOOR_SECONDS if floor else math.inf
        """Seconds that the client may still be waited for without a byte of it."""

    @property
    def is_complete(self) -> bool:
        """All of it has come, though it may not have been read."""
        return self._payload.is_eof()

    async def read(self) -> bytes:
        """The next piece, empty at the end.

        Raises:
            ClientGone: the connection is gone.
            BadRequest: the content is not framed as HTTP says.
            RequestTimeout: nothing came for ``idle_seconds``, or too little.
        """
        try:
            chunk: bytes = self._payload.read_nowait()
            if not chunk and not self._payload.at_eof():
                self._on_awaited()
                chunk = await self._awaited()
        except TimeoutError:
            raise RequestTimeout("The request's content did not come in time") from None
        except ConnectionError:
            raise ClientGone from None
        except (web.RequestPayloadError, HttpProcessingError):
            raise BadRequest("The request's content is not framed as HTTP says") from None
        if self._floor:
            self._spare = min(FLOOR_SECONDS, self._spare + len(chunk) / self._floor)
        return chunk

    async def _awaited(self) -> bytes:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(min(self._idle_seconds, self._spare)):
            chunk = await self._payload.readany()
        self._spare -= loop.time() - began
        return chunk

    async def read_off(self, seconds: float) -> bool:
        """Drop what is left, waiting ``seconds`` at most; whether all was read."""
        if not self._payload.is_eof():
            with contextlib.suppress(*_NO_MORE):
                async with asyncio.timeout(seconds):
                    while not self._payload.is_eof():
                        await self._payload.readany()
        return self._payload.is_eof()

    def spoil(self, reason: BaseException) -> None:
        """No more can be read, for ``reason``, unless it is all there."""
        if not self._payload.is_eof():
            self._payload.set_exception(reason)
