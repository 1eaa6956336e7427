"""What operators see of several processes together. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gateway.ops.glances.glance import (
    CALLERS,
    FAILURES,
    TASKS,
    WAITS,
    CallerRow,
    FailureRow,
    Figures,
    Glance,
    TaskRow,
    Waits,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from gateway.ops.glances.glance import WaitRow

T = TypeVar("T")


def together(glances: Collection[Glance]) -> Glance:
    """The sums, and the rows that come first in each table. It has run as long as the oldest."""
    return Glance(
        at=max((one.at for one in glances), default=0.0),
        seconds=max((one.seconds for one in glances), default=0.0),
        trouble=next((one.trouble for one in glances if one.trouble), ""),
        figures=sums(one.figures for one in glances),
        waits=waits_together([one.waits for one in glances], WAITS),
        tasks=_tasks(row for one in glances for row in one.tasks)[:TASKS],
        callers=_callers(row for one in glances for row in one.callers)[:CALLERS],
        failures=_by(_at, (row for one in glances for row in one.failures))[:FAILURES],
    )


def waits_together(several: Collection[Waits], most: int) -> Waits:
    """All waits by number; of the rows half of ``most`` are of the oldest, half of the newest."""
    rows = sorted((row for one in several for row in one.rows), key=_since)
    if len(rows) > most:
        rows[most // 2 : len(rows) - (most - most // 2)] = []
    return Waits(sum(one.count for one in several), rows)


def sums(several: Iterable[Figures]) -> Figures:
    """The sum of each value."""
    total: Figures = {}
    for figures in several:
        for name, values in figures.items():
            added = total.setdefault(name, {})
            for labels, value in values.items():
                added[labels] = added.get(labels, 0.0) + value
    return total


def _tasks(rows: Iterable[TaskRow]) -> list[TaskRow]:
    """Of each task what that process knows which has seen most runs of it."""
    best: dict[tuple[str, str], TaskRow] = {}
    for row in rows:
        key = row.organization, row.task
        if key not in best or best[key].runs < row.runs:
            best[key] = row
    return [*best.values()]


def _callers(rows: Iterable[CallerRow]) -> list[CallerRow]:
    total: dict[tuple[str, str], CallerRow] = {}
    for row in rows:
        added = total.setdefault(
            (row.token_hash, row.address),
            CallerRow(row.token_hash, row.address, row.organization, 0, 0),
        )
        added.requests += row.requests
        added.refused += row.refused
    return _by(_requests, total.values())


def _by(value: Callable[[T], float], rows: Iterable[T]) -> list[T]:
    return sorted(rows, key=value, reverse=True)


def _since(row: WaitRow) -> float:
    return row.since


def _at(row: FailureRow) -> float:
    return row.at


def _requests(row: CallerRow) -> int:
    return row.requests
