"""How many results are being waited for, by one client and in all."""

from __future__ import annotations

from collections import Counter


class Holds:
    """Counts in this process; ``most`` is the bound for all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_key: Counter[bytes] = Counter()
        self.total = 0

    @property
    def are_full(self) -> bool:
        """No more can be held in all."""
        return self.total >= self._most

    def of(self, key: bytes) -> int:
        """How many are held for one client."""
        return self._by_key.get(key, 0)

    def enter(self, key: bytes) -> None:
        self.total += 1
        self._by_key[key] += 1

    def leave(self, key: bytes) -> None:
        self.total -= 1
        self._by_key[key] -= 1
        if not self._by_key[key]:
            del self._by_key[key]
