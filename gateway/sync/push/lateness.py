"""How late ends of jobs are answered: what a client waits longer than its job takes.

A job tells when it ended by the orchestrator's clock, which may be off. What is known by this
process's own: the job had not ended when the last look began that did not see it ended, and nobody
was late before the request came. So the time since the end is taken as the orchestrator tells it,
but never below zero, and never above the time since the later of these two. A clock that is off can
make it no worse than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.durations import NOTICE_SECONDS, Durations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.protocols.theeye.job import Job

PUSH, POLL = "push", "poll"


class Lateness:
    """``clock`` gives monotonic seconds, ``wall_clock`` those since 1970. ``was_told`` says whether
    a message has named a job lately; None where there are no messages."""

    def __init__(
        self,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        was_told: Callable[[str], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._was_told = was_told
        ways = (POLL,) if was_told is None else (PUSH, POLL)
        self._seconds = {way: Durations(NOTICE_SECONDS) for way in ways}

    @property
    def seconds(self) -> Mapping[str, Durations]:
        """By whether a message had told of the end when it was answered."""
        return self._seconds

    def answered(self, job: Job, unended_at: float, came_at: float) -> None:
        """Count a job whose result goes out now, to a client that was shown it before its end.

        ``unended_at``: when the last look began that did not see it ended; ``came_at``: when the
        request came; both in the clock's seconds.
        """
        most = self._clock() - max(unended_at, came_at)
        seconds = seconds_since(job.ended_at, self._wall_clock(), most)
        is_told = self._was_told is not None and self._was_told(job.id)
        self._seconds[PUSH if is_told else POLL].add(seconds)


def seconds_since(ended_at: float | None, now: float, most: float) -> float:
    """The seconds since an end, by clocks that may differ; ``most`` where the job does not tell."""
    return most if ended_at is None else min(max(now - ended_at, 0.0), most)
