"""Turns of clients: few at once in all, and one of each."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Turns:
    """``most`` blocks run at once. Who waits for its turn waits for others of its client, and for
    one of each other client at most."""

    def __init__(self, most: int) -> None:
        self._all = asyncio.Semaphore(most)
        self._of: dict[bytes, asyncio.Lock] = {}
        self._waiting: Counter[bytes] = Counter()

    def __len__(self) -> int:
        """Clients that have a turn or wait for one."""
        return len(self._of)

    @asynccontextmanager
    async def of(self, client: bytes) -> AsyncIterator[None]:
        """The client's next turn, while the block runs."""
        own = self._of.setdefault(client, asyncio.Lock())
        self._waiting[client] += 1
        try:
            async with own, self._all:
                yield
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client], self._of[client]
