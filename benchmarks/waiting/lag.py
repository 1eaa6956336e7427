"""How late an event loop is: measured within it, told to a file."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EVERY_SECONDS = 0.005


class Lag:
    """Notes how much later than asked for it is called, until the loop ends."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w", encoding="ascii", buffering=1)
        self._lines: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._expect()

    def _expect(self) -> None:
        self._due = time.monotonic() + EVERY_SECONDS
        self._loop.call_later(EVERY_SECONDS, self._note)

    def _note(self) -> None:
        now = time.monotonic()
        self._lines.append(f"{now:.6f} {max(0.0, now - self._due):.6f}\n")
        if len(self._lines) >= 100:
            self._file.write("".join(self._lines))
            self._lines.clear()
        self._expect()


def lags(file: Path, begin: float, end: float) -> list[float]:
    """The lags noted in a span of the machine's monotonic clock, sorted, in seconds."""
    found = []
    for line in file.read_text("ascii").splitlines():
        at, _, lag = line.partition(" ")
        if lag and begin <= float(at) <= end:
            found.append(float(lag))
    return sorted(found)
