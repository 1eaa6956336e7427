"""Ids of traces and spans, at random (W3C Trace Context, 3.2.2.3 and 3.2.2.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class SpanIds:
    """``bits`` gives so many random bits as a number."""

    def __init__(self, bits: Callable[[int], int]) -> None:
        self.bits = bits

    def trace(self) -> str:
        return f"{self._some(128):032x}"

    def span(self) -> str:
        return f"{self._some(64):016x}"

    def _some(self, length: int) -> int:
        # All zeros are no id.
        return self.bits(length) or 1
