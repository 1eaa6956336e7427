"""What was found out of things that come again and again, such as addresses and names of hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """Keeps what ``find`` makes of at most ``most`` things, none of it None.

    When it is full it forgets all of them: noting which was used last, as ``functools.lru_cache``
    does, takes several times what a look-up takes.
    """

    __slots__ = ("_find", "_kept", "_most")

    def __init__(self, find: Callable[[K], V], most: int) -> None:
        self._find = find
        self._most = most
        self._kept: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, thing: K) -> V:
        """What ``find`` makes of it."""
        found = self._kept.get(thing)
        if found is None:
            found = self._find(thing)
            if len(self._kept) >= self._most:
                self._kept.clear()
            self._kept[thing] = found
        return found
