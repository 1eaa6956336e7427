"""Budgets in this process's memory: how much of them clients have used.

What is forgotten is the longest unused, in one store for tokens that the upstream knows and one for
those that anybody can make up: no flood of new keys can reset a budget that counts.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from gateway.admission.limits.gcra import Rate
from gateway.admission.recent import Recent
from gateway.protocols.theeye.routes import RouteKind

if TYPE_CHECKING:
    from collections.abc import Sequence

_Cell: TypeAlias = list[int]
"""When a budget is full again: one number, changed in place."""
_Store: TypeAlias = Recent[_Cell]
SIZE = 16_384
"""Budgets of one kind and store; each takes about 300 bytes."""


class Budget:
    """The count under ``key`` of requests of one kind.

    ``is_known``: nobody can make up the key, for the upstream has accepted its token, or it was
    verified.
    """

    __slots__ = ("is_known", "key", "kind", "rate")

    def __init__(self, kind: RouteKind, key: bytes, rate: Rate, is_known: bool) -> None:
        self.kind = kind
        self.key = key
        self.rate = rate
        self.is_known = is_known


class Use(Enum):
    """The ways to charge budgets."""

    TAKE = auto()
    """Take a request of each, or of none where one has none left."""
    LOOK = auto()
    """Only see whether each has one left."""
    OWE = auto()
    """Take a request of each, even if one has none left."""

    @property
    def is_checked(self) -> bool:
        return self is not Use.OWE

    @property
    def is_charged(self) -> bool:
        return self is not Use.LOOK


# Looking up a member of an enum takes ten times as long.
_LOOK: Final = Use.LOOK
_OWE: Final = Use.OWE


class Claim(NamedTuple):
    """A use of budgets, at a time in microseconds."""

    budgets: tuple[Budget, ...]
    use: Use
    now: int


class Verdict:
    """``refused`` is the budget that has nothing left, None if all have. ``level`` is that of the
    refused budget, else of the first one, afterwards."""

    __slots__ = ("level", "refused")

    def __init__(self, refused: Budget | None, level: int) -> None:
        self.refused = refused
        self.level = level


class MemoryBudgets:
    """Times are whole microseconds of one monotonic clock."""

    def __init__(self, size: int = SIZE) -> None:
        self._unknown: dict[RouteKind, _Store] = {kind: Recent(size) for kind in RouteKind}
        self._known: dict[RouteKind, _Store] = {kind: Recent(size) for kind in RouteKind}

    def use(self, budgets: Sequence[Budget], use: Use, now: int) -> Verdict:
        """Decide on one request."""
        if len(budgets) == 1:
            return self._use_one(budgets[0], use, now)
        if use.is_checked:
            for budget in budgets:
                level = self.level(budget, now)
                if not budget.rate.fits(level):
                    return Verdict(budget, level)
        if not use.is_charged:
            return Verdict(None, self.level(budgets[0], now))
        charged = [self._use_one(budget, Use.OWE, now) for budget in budgets]
        return charged[0]

    def _use_one(self, budget: Budget, use: Use, now: int) -> Verdict:
        rate = budget.rate
        cell = self._cell(budget)
        level = 0 if cell is None else rate.level(cell[0], now)
        if use is not _OWE and level + rate.interval > rate.capacity:
            return Verdict(budget, level)
        if use is not _LOOK:
            level += rate.interval
            level = min(level, rate.most)
            if cell is None:
                # What is refused is not kept: a flood that is refused must push out nothing.
                cell = [0]
                self._store(budget).keep(budget.key, cell)
            cell[0] = now + level
        return Verdict(None, level)

    def kept(self) -> dict[str, int]:
        """Count those in memory, of known and of unknown tokens."""
        return {
            "known": sum([len(store) for store in self._known.values()]),
            "unknown": sum([len(store) for store in self._unknown.values()]),
        }

    def level(self, budget: Budget, now: int) -> int:
        """The used part of a budget, in microseconds (``gcra``)."""
        cell = self._cell(budget)
        return 0 if cell is None else budget.rate.level(cell[0], now)

    def _store(self, budget: Budget) -> _Store:
        return (self._known if budget.is_known else self._unknown)[budget.kind]

    def _cell(self, budget: Budget) -> _Cell | None:
        kind, key = budget.kind, budget.key
        cell = self._store(budget).get(key)
        if cell is None and budget.is_known:
            cell = self._unknown[kind].pop(key)
            if cell is not None:
                # Its token has just become known, and may have used its budget before.
                self._known[kind].keep(key, cell)
        return cell
