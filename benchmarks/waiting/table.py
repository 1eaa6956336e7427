"""Rows of Markdown tables, and what a figure may be at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Floor:
    what: str
    value: float
    most: float

    @property
    def is_reached(self) -> bool:
        return self.value <= self.most

    def __str__(self) -> str:
        verdict = "PASS" if self.is_reached else "FAIL"
        return f"- {verdict}: {self.what} ≤ {self.most:,g}: {self.value:,.2f}"


def titles(*cells: str) -> Iterator[str]:
    yield row(*cells)
    yield row("---", *["---:"] * (len(cells) - 1))


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def show(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)
    print(flush=True)
