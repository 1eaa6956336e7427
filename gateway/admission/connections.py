"""Counts the open connections of each client's address."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway.admission.addresses import network

if TYPE_CHECKING:
    from collections.abc import Callable

SURPLUS = 16
"""Connections of an address over its bound that are still told so; the next are only closed."""


class Connections:
    """``most`` of one address, of IPv6 one /64; 0 is no bound. There is none for trusted proxies,
    which stand for many clients."""

    def __init__(self, most: int, is_trusted: Callable[[str], bool]) -> None:
        self._most = most
        self._is_trusted = is_trusted
        self._open: Counter[str] = Counter()
        self.surplus = 0
        """How many were too many so far."""

    def reconfigure(self, most: int) -> None:
        """Have another bound, for connections to come."""
        self._most = most

    def key(self, address: str) -> str:
        """The key under which a connection is counted; empty where it is not counted."""
        if not self._most or not address or self._is_trusted(address):
            return ""
        return network(address)

    def opened(self, key: str) -> int:
        """Count a new connection; by how many its address is over the bound now."""
        self._open[key] += 1
        surplus = max(self._open[key] - self._most, 0)
        self.surplus += surplus > 0
        return surplus

    def closed(self, key: str) -> None:
        """Count off a connection."""
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]
