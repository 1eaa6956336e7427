"""Whether this process lives, and whether it is ready for traffic.

A process that is not ready gets no traffic by which it could notice that the upstream is back, so
readiness tries to reach the upstream by itself, at most every ``FRESH_SECONDS``. What the traffic
met only tells how long the trouble has lasted: an upstream that can be reached makes the process
ready, whatever went wrong before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FRESH_SECONDS = 2.0
PROBE_SECONDS = 1.0
"""Kubernetes gives a probe one second by default; the answer should name the reason before."""
GRACE_SECONDS = 5.0
"""An upstream that restarts this quickly takes no replica out of service."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """``reason`` is empty when ready; ``seconds`` is how long the reason has held, where known."""

    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Contact:
    """What probes found; monotonic seconds."""

    reached_at: float | None = None
    """The last success."""
    failing_since: float | None = None
    """The first failure since then."""

    def after(self, now: float, *, reached: bool) -> Contact:
        """With one more probe."""
        if reached:
            return Contact(reached_at=now)
        return self if self.failing_since is not None else Contact(self.reached_at, now)

    def unreachable_since(self, traffic_failing_since: float | None) -> float | None:
        """Since when the upstream cannot be reached, None if it can."""
        if self.failing_since is None or traffic_failing_since is None:
            return self.failing_since
        if self.reached_at is not None and traffic_failing_since < self.reached_at:
            return self.failing_since
        return min(self.failing_since, traffic_failing_since)


class Health:
    """``probe`` tries to reach the upstream; ``upstream_failing_since`` is what traffic met."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        is_draining: Callable[[], bool],
        upstream_failing_since: Callable[[], float | None],
        probe: Callable[[], Awaitable[bool]],
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._clock = clock
        self._is_draining = is_draining
        self._traffic_failing_since = upstream_failing_since
        self._probe = probe
        self._grace_seconds = grace_seconds
        self._probing = asyncio.Lock()
        self._probed_at: float | None = None
        self._contact = Contact()

    async def readiness(self) -> Readiness:
        """Whether traffic should come here, within ``PROBE_SECONDS``."""
        if self._is_draining():
            return Readiness("draining")
        await self._probe_unless_fresh()
        since = self._contact.unreachable_since(self._traffic_failing_since())
        if since is None:
            return Readiness()
        seconds = self._clock() - since
        if self._contact.reached_at is not None and seconds < self._grace_seconds:
            return Readiness()
        return Readiness("upstream unreachable", seconds)

    async def _probe_unless_fresh(self) -> None:
        async with self._probing:
            now = self._clock()
            if self._probed_at is not None and now - self._probed_at < FRESH_SECONDS:
                return
            reached = await self._reaches()
            self._contact = self._contact.after(now, reached=reached)
            self._probed_at = self._clock()

    async def _reaches(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return await self._probe()
        except (GatewayError, OSError):
            return False
