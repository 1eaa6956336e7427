"""The callers that are busiest, by what their requests are counted under.

Of ``WINDOWS`` spans of time each has a table of ``MOST`` callers. When a table is full every caller
in it loses a request, and whoever has none left goes (Misra and Gries, "Finding repeated elements",
1982): what is told of a caller is at most one in ``MOST`` of all requests too low, and a flood of
made-up tokens drives out no caller that is busier than that.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from gateway.admission.identity.identities import Identity

if TYPE_CHECKING:
    from gateway.downstream.exchange import Exchange

WINDOW_SECONDS: Final = 10.0
WINDOWS: Final = 6
"""The last one is not over yet."""
MOST: Final = 256


class Caller:
    """Requests of one caller that are over."""

    __slots__ = ("address", "identity", "refused", "requests")

    def __init__(self, identity: Identity, address: str) -> None:
        self.identity = identity
        self.address = address
        """That of one of its requests."""
        self.requests = 0
        self.refused = 0
        """Those with a reason."""


class Callers:
    """Observes requests. Times are seconds of the clock that the requests' times are of."""

    def __init__(self) -> None:
        self._ends_at = 0.0
        self._current: dict[bytes, Caller] = {}
        self._before: deque[dict[bytes, Caller]] = deque(maxlen=WINDOWS - 1)

    def observe(self, exchange: Exchange) -> None:
        """Count a request that is over."""
        if exchange.finished >= self._ends_at:
            self._turn(exchange.finished)
        identity = exchange.identity
        caller = self._current.get(identity.key)
        if caller is None:
            caller = self._enter(identity, exchange.address)
            if caller is None:
                return
        caller.requests += 1
        if exchange.reason:
            caller.refused += 1

    def busiest(self, most: int, now: float) -> list[Caller]:
        """Those with most requests within the last minute, the busiest first."""
        if now >= self._ends_at:
            self._turn(now)
        sums: dict[bytes, Caller] = {}
        for window in (*self._before, self._current):
            for key, caller in window.items():
                total = sums.get(key)
                if total is None:
                    total = sums[key] = Caller(caller.identity, caller.address)
                total.requests += caller.requests
                total.refused += min(caller.refused, caller.requests)
        return sorted(sums.values(), key=_requests, reverse=True)[:most]

    def _enter(self, identity: Identity, address: str) -> Caller | None:
        """A place in the table; None where it is full, and everybody loses a request instead."""
        window = self._current
        if len(window) < MOST:
            caller = window[identity.key] = Caller(identity, address)
            return caller
        gone = []
        for key, caller in window.items():
            caller.requests -= 1
            if caller.requests <= 0:
                gone.append(key)
        for key in gone:
            del window[key]
        return None

    def _turn(self, now: float) -> None:
        """Begin another span, the last ones being over."""
        late = now - self._ends_at
        passed = 1 + int(late / WINDOW_SECONDS) if late < WINDOWS * WINDOW_SECONDS else WINDOWS
        for _ in range(passed):
            self._before.append(self._current)
            self._current = {}
        self._ends_at = now + WINDOW_SECONDS - late % WINDOW_SECONDS


def _requests(caller: Caller) -> int:
    return caller.requests
