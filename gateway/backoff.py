"""Growing gaps between attempts that fail in a row."""

from __future__ import annotations


class Backoff:
    """Gaps in seconds: the ``first``, then each twice the last, up to the ``longest``.

    What lasted for ``steady_seconds`` failed for a reason of its own: the first gap follows.
    """

    def __init__(self, first: float, longest: float, steady_seconds: float) -> None:
        self._first = first
        self._longest = longest
        self._steady_seconds = steady_seconds
        self._next = first

    def lasted(self, seconds: float) -> None:
        """Note how long the last attempt went well."""
        if seconds >= self._steady_seconds:
            self._next = self._first

    def gap(self, chance: float = 1.0) -> float:
        """Seconds until the next attempt.

        ``chance``, 0 to 1, shortens them by up to half: it keeps processes that lost the same peer
        from coming back all at once.
        """
        gap = self._next
        self._next = min(2 * gap, self._longest)
        return gap * (1 + chance) / 2
