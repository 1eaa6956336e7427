"""Small writes: under load those of one turn of the event loop are handed to the kernel in a row.

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
"""So many writes wait for another; none waits for the loop's next turn."""
FEW: Final = 6
"""With no more exchanges under way than these, no write waits."""


class WriteBatch:
    """Whoever writes to a transport both through this and directly must leave the loop a turn."""

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.WriteTransport, bytes]] = []
        self.under_way = 0
        """Exchanges that write through this; who begins and ends them counts."""

    def write(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write before this turn of the loop ends. To a transport that is closed then, nothing."""
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
