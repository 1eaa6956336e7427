"""Small writes: under load those of one iteration of the loop are handed to the kernel in a row.

A write to a peer that sleeps wakes it, at a price of microseconds, and under load the same peer
sleeps again before the next: what is written in a row wakes it once. With little to do a peer had
better begin at once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

_log = logging.getLogger(__name__)
MOST: Final = 16
"""Flush when this many writes are queued, otherwise at the end of this loop iteration."""
FEW: Final = 6
"""With no more exchanges under way than these, no write waits."""


class WriteBatch:
    """Writes that are queued for one loop iteration at most; a direct write overtakes them."""

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.WriteTransport, bytes]] = []
        self.under_way = 0
        """Exchanges that go by callbacks, counted by themselves."""

    def write(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write before this loop iteration ends, unless the transport is closed by then."""
        waiting = self._waiting
        if not waiting:
            if self.under_way <= FEW:
                _write(transport, data)
                return
            asyncio.get_running_loop().call_soon(self.flush)
        waiting.append((transport, data))
        if len(waiting) >= MOST:
            self.flush()

    def flush(self) -> None:
        """Write now."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            _write(transport, data)


def _write(transport: asyncio.WriteTransport, data: bytes) -> None:
    if not transport.is_closing():
        try:
            transport.write(data)
        except Exception:
            # The others' must not be lost with it.
            _log.exception("cannot write")
            transport.abort()
