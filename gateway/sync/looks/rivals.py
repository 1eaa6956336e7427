"""Tokens that may be the scout, and may see more than the one that is. Pure: the time is an
argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

BARRED_SECONDS = 600.0
"""Time for which a token that was refused is no scout, and one that was compared is not again."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A list by which another token shows what it sees."""

    key: bytes
    jobs: tuple[str, ...]


class Rivals:
    """``waiting`` has the jobs that are waited for with each key."""

    def __init__(self, waiting: Mapping[bytes, Collection[str]]) -> None:
        self._waiting = waiting
        self._barred: dict[bytes, float] = {}
        self._compared: dict[bytes, float] = {}
        """Times until which keys are left out."""

    def bar(self, key: bytes, now: float) -> None:
        """Have a key, whose token was refused, be no scout for a while."""
        self._barred[key] = now + BARRED_SECONDS

    def first_choice(self, now: float) -> bytes | None:
        """The key under which most is waited for; None where all are barred."""
        self._barred = _running(self._barred, now)
        choice = (key for key in self._waiting if key not in self._barred)
        return max(choice, key=lambda key: len(self._waiting[key]), default=None)

    def next(self, scout: bytes, unseen: Collection[bytes], now: float) -> bytes | None:
        """The key that is to be compared with the scout's, once in a while each; first of those
        with jobs that the scout does not see, which are ``unseen``."""
        self._barred, self._compared = _running(self._barred, now), _running(self._compared, now)
        left_out = {scout, *self._barred, *self._compared}
        choice = (key for key in self._waiting if key not in left_out)
        key = max(choice, key=lambda one: (one in unseen, len(self._waiting[one])), default=None)
        if key is not None:
            self._compared[key] = now + BARRED_SECONDS
        return key


def _running(times: dict[bytes, float], now: float) -> dict[bytes, float]:
    return {key: at for key, at in times.items() if at > now}
