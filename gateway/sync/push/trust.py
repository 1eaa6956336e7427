"""Detects a push channel that is up but useless.

The Redis may be another one than TheEye publishes to, or the service that publishes may be down. A
subscription is well all the same, and every result would come as late as the safety net polls. So a
job that polling saw end, and for which no message came within ``late_seconds``, turns push off for
``DISTRUST_SECONDS``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from cachetools import TTLCache

if TYPE_CHECKING:
    from collections.abc import Callable

DISTRUST_SECONDS = 60.0
"""Time for which messages are not relied on, at least, after one was missing."""
HINT_SECONDS = 60.0
"""Memory of a message whose job has not been seen to end: longer than any gap of polls."""
MAX_JOBS = 10_000


class Reliance:
    """Judges one subscription after the other; ``clock`` gives monotonic seconds. Job ids are in
    lower case. ``late_seconds`` after a job was seen to have ended a message about it is as good as
    none."""

    def __init__(self, clock: Callable[[], float], late_seconds: float) -> None:
        self.missing = 0
        """Jobs that ended without a message, since the start."""
        self._clock = clock
        self._late_seconds = late_seconds
        self._began: float | None = None
        self._missed_at: float | None = None
        self._hinted: TTLCache[str, None] = TTLCache(MAX_JOBS, HINT_SECONDS, timer=clock)
        self._ended: deque[tuple[float, str]] = deque(maxlen=MAX_JOBS)
        """Jobs whose message should have come: when each was seen to have ended."""

    def begin(self) -> None:
        """Expect messages from now on."""
        self._began = self._clock()

    def stop(self) -> None:
        """Expect no messages any more."""
        self._began = None
        self._ended.clear()

    def hinted(self, job_id: str) -> None:
        """Note that a message came."""
        self._hinted[job_id] = None

    def was_hinted(self, job_id: str) -> bool:
        """Tell whether a message about the job came lately."""
        return job_id in self._hinted

    def ended(self, job_id: str, unended_at: float) -> None:
        """Note that a job that was waited for was seen to have ended.

        The last request that did not find it ended began at ``unended_at``. Where that was before
        the subscription its message may have been sent before, too, and says nothing.
        """
        if self._began is not None and unended_at >= self._began:
            self._ended.append((self._clock(), job_id))

    def review(self) -> bool:
        """True where messages are to be relied on now, by the jobs that ended a while ago."""
        now = self._clock()
        while self._ended and now - self._ended[0][0] >= self._late_seconds:
            _, job_id = self._ended.popleft()
            if job_id not in self._hinted:
                self.missing += 1
                self._missed_at = now
            elif self._missed_at is not None and now - self._missed_at > DISTRUST_SECONDS:
                self._missed_at = None
        return self._began is not None and self._missed_at is None
