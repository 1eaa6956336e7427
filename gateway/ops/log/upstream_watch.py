"""Tells the log when the upstream's health changes, once for each change.

What one request met is no such change: a failure, or a request that is not answered for some
seconds, only makes this ask the upstream for something by itself, and what comes of that is told.
That it is slow is a matter of many requests (``slowness``).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from gateway.upstream.signs import Trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.ops.log.slowness import Slowness
    from gateway.upstream.signs import Signs

_log = logging.getLogger("gateway.upstream")
LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 5.0
"""How long a request may wait, and nothing be answered, until the upstream is doubted."""
REFUSALS, REFUSING_SECONDS = 5, 1.0
"""So many responses of 5xx, over so long and with no other between, are a refusal of everything."""
QUIET_SECONDS = 10.0
"""Troubles that follow sooner upon the last told are told only if they last."""
_TOLD = {
    Trouble.UNREACHABLE: "the upstream cannot be reached",
    Trouble.SILENT: "the upstream takes requests and does not answer",
    Trouble.REFUSING: "the upstream answers everything with 5xx",
}


def trouble(signs: Signs, now: float) -> Trouble | None:
    """What is wrong with the upstream."""
    if signs.failing_since is not None:
        return signs.failure
    is_refusing = signs.refusals >= REFUSALS and now - signs.refusing_since >= REFUSING_SECONDS
    return Trouble.REFUSING if is_refusing else None


class UpstreamWatch:
    """``probe`` asks the upstream, seldom; ``waiting_since`` is when the oldest request was sent
    that is not answered; ``clock`` gives monotonic seconds. ``slowness`` is looked at as well."""

    def __init__(
        self,
        signs: Signs,
        probe: Callable[[], Awaitable[None]],
        waiting_since: Callable[[], float | None],
        clock: Callable[[], float],
        slowness: Slowness,
    ) -> None:
        self._signs = signs
        self._probe = probe
        self._waiting_since = waiting_since
        self._clock = clock
        self._slowness = slowness
        self._told: Trouble | None = None
        self._told_at: float | None = None
        self._began = 0.0

    async def run(self) -> None:
        """Look every ``LOOK_SECONDS``."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Tell what has changed."""
        self._slowness.look()
        if self._signs.failing_since is not None or self._is_in_doubt():
            await self._probe()
        now = self._clock()
        found = trouble(self._signs, now)
        if found is self._told:
            return
        if found is None:
            _log.warning("the upstream answers again, after %.0f s", now - self._began)
            self._told = None
        elif self._told_at is None or now - self._told_at >= QUIET_SECONDS:
            if self._told is None:
                since = self._signs.failing_since
                self._began = self._signs.refusing_since if since is None else since
            _log.warning("%s", _TOLD[found])
            self._told, self._told_at = found, now

    def _is_in_doubt(self) -> bool:
        since = self._waiting_since()
        if since is None:
            return False
        last = max(since, self._signs.answered_at or since)
        return self._clock() - last >= PATIENCE_SECONDS
