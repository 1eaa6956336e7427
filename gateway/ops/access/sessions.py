"""Sessions of browsers, which cannot show a token with each request."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import TYPE_CHECKING

from gateway.admission.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Callable

SESSION_SECONDS = 8 * 3600
MOST_SESSIONS = 64
"""One more ends the one that was longest unused."""


class OperatorSessions:
    """Begun with the token, and over after ``SESSION_SECONDS``; ``clock`` gives monotonic seconds.

    Kept under hashes, so that nothing can be learnt from the time a look takes.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: Recent[float] = Recent(MOST_SESSIONS)

    def begin(self) -> str:
        """A new one: its secret id."""
        identifier = secrets.token_urlsafe(32)
        self._ends.keep(_hashed(identifier), self._clock() + SESSION_SECONDS)
        return identifier

    def is_open(self, identifier: str) -> bool:
        """Tell whether there is such a session."""
        end = self._ends.get(_hashed(identifier))
        return end is not None and self._clock() < end

    def end(self, identifier: str) -> None:
        """End it, if there is one."""
        self._ends.pop(_hashed(identifier))

    def end_all(self) -> None:
        self._ends.clear()


def _hashed(identifier: str) -> bytes:
    return sha256(identifier.encode("utf-8", "surrogatepass")).digest()
