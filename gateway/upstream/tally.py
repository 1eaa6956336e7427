"""Counts of requests sent upstream, and what they tell of its health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.durations import ANSWER_SECONDS, Durations
from gateway.errors import GatewayTimeout
from gateway.upstream.failures import is_the_upstreams
from gateway.upstream.messages.messages import Purpose
from gateway.upstream.signs import Signs, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

_FAILED: Final = 0
"""In the place of the first digit of a status, where there is no response."""
_RESULTS: Final = tuple(f"{digit}xx" if digit else "failed" for digit in range(10))
"""By that digit."""


class Tally:
    """One for an upstream. ``clock`` gives monotonic seconds, which ``now`` is in, too."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.signs = Signs()
        self._counts: dict[str, list[int]] = {}
        """By purpose, and by the first digit of the status."""
        self.seconds: dict[str, Durations] = {}
        """Times until responses began, or the upstream failed, by purpose."""

    @property
    def requests(self) -> dict[tuple[str, str], int]:
        """Counts by purpose and status class ("5xx", "failed")."""
        return {
            (purpose, result): count
            for purpose, counts in self._counts.items()
            for result, count in zip(_RESULTS, counts, strict=True)
            if count
        }

    def responded(self, purpose: Purpose, status: int, now: float, seconds: float) -> None:
        """Count a response; it began after ``seconds``."""
        self._count(purpose, status // 100)
        self._took(purpose, seconds)
        self.signs.answered(now, is_refusal=status // 100 == 5)

    def failed(self, purpose: Purpose, failure: Exception, now: float, seconds: float) -> None:
        """Count a request without a response; ``seconds`` is 0 where nothing was sent."""
        self._count(purpose, _FAILED)
        if seconds > 0:
            self._took(purpose, seconds)
        if is_the_upstreams(failure):
            is_silent = seconds > 0 and isinstance(failure, GatewayTimeout)
            self.signs.failed(now, Trouble.SILENT if is_silent else Trouble.UNREACHABLE)

    def probed(self, status: int, trouble: Trouble) -> bool:
        """Count a probe by the status of its response, 0 where there is none for ``trouble``.

        Returns whether the upstream is well. That it is says nothing of what clients get.
        """
        now = self.clock()
        self._count(Purpose.PROBE, status // 100)
        if 0 < status < 500:
            self.signs.reached(now)
            return True
        self.signs.failed(now, Trouble.REFUSING if status else trouble)
        return False

    def _count(self, purpose: Purpose, digit: int) -> None:
        counts = self._counts.get(purpose)
        if counts is None:
            counts = self._counts[purpose] = [0] * len(_RESULTS)
        counts[digit] += 1

    def _took(self, purpose: Purpose, seconds: float) -> None:
        durations = self.seconds.get(purpose)
        if durations is None:
            durations = self.seconds[purpose] = Durations(ANSWER_SECONDS)
        durations.add(seconds)
