"""A request's content as its client sends it: piece by piece, and no slower than it may.

A client has ``FLOOR_SECONDS`` to spare. Waiting for it spends them, and each byte buys some back.
So a client slower than the floor is given up after a while, or at one pause of ``FLOOR_SECONDS``;
one whose content waits for the upstream is not, for it is not waited for.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

from gateway.errors import ContentCut, GatewayError, RequestTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

FLOOR_SECONDS: Final = 30.0
"""What the rate of a client is averaged over."""
FULL_BYTES: Final = 128 * 1024
"""With more waiting to be read, no more is taken from the client until half of it was read."""


class RequestContent:
    """``idle_seconds`` bounds each wait for more; ``floor`` is the least rate in bytes a second, 0
    for none. ``on_taken`` is called when content that was full has room again."""

    __slots__ = (
        "_arrival",
        "_failure",
        "_floor",
        "_idle_seconds",
        "_on_taken",
        "_pieces",
        "_size",
        "_spare",
        "is_complete",
        "is_full",
    )

    def __init__(self, *, idle_seconds: float, floor: float, on_taken: Callable[[], None]) -> None:
        self._idle_seconds = idle_seconds
        self._floor = floor
        self._on_taken = on_taken
        self._spare = FLOOR_SECONDS if floor else math.inf
        """Seconds that the client may still be waited for without a byte of it."""
        self._pieces: list[bytes] = []
        """What has come and was not read."""
        self._size = 0
        self._failure: GatewayError | ContentCut | None = None
        self._arrival: asyncio.Future[None] | None = None
        self.is_complete = False
        """All of it has come, though it may not have been read."""
        self.is_full = False
        """So much waits to be read that no more should come."""

    def feed(self, pieces: list[bytes], *, is_last: bool) -> None:
        """Some has come."""
        self._pieces += pieces
        self._size += sum(map(len, pieces))
        self.is_full = self._size > FULL_BYTES
        self.is_complete = is_last
        if pieces or is_last:
            self._wake()

    def fail(self, failure: GatewayError | ContentCut) -> None:
        """No more can be read, for ``failure``, unless it is all there."""
        if not self.is_complete and self._failure is None:
            self._failure = failure
            self._wake()

    @property
    def is_at_hand(self) -> bool:
        """Reading would not have to wait."""
        return bool(self._pieces) or self.is_complete or self._failure is not None

    async def read(self) -> bytes:
        """All that has come, empty at the end.

        Raises:
            ClientGone: the connection is gone.
            BadRequest: the content is not framed as HTTP says.
            RequestTimeout: nothing came for ``idle_seconds``, or too little.
        """
        if not self.is_at_hand:
            await self._arrived()
        if self._failure is not None:
            raise self._failure
        pieces = self._pieces
        chunk = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._floor:
            self._spare = min(FLOOR_SECONDS, self._spare + len(chunk) / self._floor)
        if self.is_full:
            self.is_full = False
            self._on_taken()
        return chunk

    async def _arrived(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._arrival = arrival = loop.create_future()
        try:
            async with asyncio.timeout(min(self._idle_seconds, self._spare)):
                await arrival
        except TimeoutError:
            raise RequestTimeout("The request's content did not come in time") from None
        finally:
            self._arrival = None
        self._spare -= loop.time() - began

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
