"""Sends snapshots to all who look, as an event stream (WHATWG HTML, "Server-sent events").

One snapshot is made for all of them, and none while nobody looks. Whoever cannot keep up misses
some. Those that come later get the charts' last points first, as far as somebody has been looking.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gateway.ops.glances.sights import Sights
    from gateway.ops.page.pace import Point
    from gateway.ops.page.snapshot import PageSnapshots

GAP_SECONDS: Final = 2.0
MOST: Final = 8
POINTS: Final = 150
"""Five minutes."""


class Showing:
    """Snapshots one after the other, from when somebody begins to look until nobody does."""

    def __init__(self, snapshots: PageSnapshots, sights: Sights, gap_seconds: float) -> None:
        self._snapshots = snapshots
        self._sights = sights
        self._gap_seconds = gap_seconds
        self._fresh = asyncio.Event()
        self.points: deque[Point] = deque(maxlen=POINTS)
        self.event = b""
        """The last snapshot; empty before the first."""
        self.is_over = False

    async def run(self) -> None:
        """Make snapshots until the gateway drains."""
        try:
            while not await self._show():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._gap_seconds):
                        await self._sights.until_draining()
        finally:
            self.is_over = True
            self._fresh.set()

    async def events(self) -> AsyncGenerator[bytes, None]:
        """What has been shown, and then each snapshot that there is time for, the last one too."""
        if self.points:
            yield _event("history", [*self.points])
        seen = b""
        while True:
            if self.event != seen:
                seen = self.event
                yield seen
            elif self.is_over:
                return
            else:
                await self._fresh.wait()

    async def _show(self) -> bool:
        """Make a snapshot; True where it is the last one."""
        snapshot = await self._snapshots.next()
        if snapshot.point is not None:
            self.points.append(snapshot.point)
        self.event = _event("snapshot", snapshot)
        fresh, self._fresh = self._fresh, asyncio.Event()
        fresh.set()
        return snapshot.is_draining


class Viewers:
    """All who look at a time, ``MOST`` at most."""

    def __init__(
        self, snapshots: PageSnapshots, sights: Sights, gap_seconds: float = GAP_SECONDS
    ) -> None:
        self._make = partial(Showing, snapshots, sights, gap_seconds)
        self._showing: Showing | None = None
        self._viewers = 0
        self._tasks = Tasks()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Nobody else can look."""
        return self._viewers >= MOST

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The events for one more viewer. They end when the gateway drains, after one that says
        so."""
        showing = self._showing
        if showing is None or showing.is_over:
            showing = self._showing = self._make()
            self._task = self._tasks.spawn(showing.run(), name="look for operators")
        self._viewers += 1
        try:
            async with aclosing(showing.events()) as events:
                async for event in events:
                    yield event
        finally:
            self._viewers -= 1
            if not self._viewers and self._task is not None:
                self._task.cancel()
                self._showing = self._task = None


def _event(name: str, content: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(content))
