"""Whether this process is ready for traffic.

Answers of the upstream count, not connections: the kernel accepts those for a process that hangs.
A process that is not ready gets no traffic by which it could notice that the upstream is back, so
readiness asks it for something by itself, at most every ``FRESH_SECONDS``, and not while clients
are answered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.upstream.signs import Signs

FRESH_SECONDS = 2.0
PROBE_SECONDS = 1.0
"""Kubernetes gives a probe one second by default; the response should name the reason before."""
GRACE_SECONDS = 5.0
"""An upstream that restarts this quickly takes no replica out of service."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """``reason`` is empty when ready; ``seconds`` is how long the reason has held, where known."""

    reason: str = ""
    seconds: float = 0.0


class Health:
    """``signs`` are the upstream's, ``probe`` adds to them within so many seconds; ``clock`` gives
    monotonic seconds."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        is_draining: Callable[[], bool],
        signs: Signs,
        probe: Callable[[float], Awaitable[bool]],
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._clock = clock
        self._is_draining = is_draining
        self._signs = signs
        self._probe = probe
        self._grace_seconds = grace_seconds
        self._probing = asyncio.Lock()
        self._probed_at: float | None = None

    async def readiness(self) -> Readiness:
        """Whether traffic should come here, within ``PROBE_SECONDS``."""
        if self._is_draining():
            return Readiness("draining")
        signs = self._signs
        if signs.failing_since is not None or not self._is_fresh(signs.answered_at):
            await self.probe_unless_fresh()
        since = signs.failing_since
        if since is None:
            return Readiness()
        seconds = self._clock() - since
        if signs.answered_at is not None and seconds < self._grace_seconds:
            return Readiness()
        return Readiness(signs.failure.value, seconds)

    async def probe_unless_fresh(self) -> None:
        """Ask the upstream for something, unless that was done a moment ago."""
        async with self._probing:
            if not self._is_fresh(self._probed_at):
                await self._probe(PROBE_SECONDS)
                self._probed_at = self._clock()

    def _is_fresh(self, at: float | None) -> bool:
        return at is not None and self._clock() - at < FRESH_SECONDS
