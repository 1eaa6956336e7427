"""A bounded store that forgets what was longest unused."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """Keeps at most ``most`` values, each under its key."""

    __slots__ = ("_kept", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a value, which counts as no use of it."""
        return key in self._kept

    def get(self, key: bytes) -> V | None:
        """The value, which is used by that."""
        value = self._kept.get(key)
        if value is not None:
            self._kept.move_to_end(key)
        return value

    def keep(self, key: bytes, value: V) -> None:
        """Store a value, as the last used."""
        if key not in self._kept and len(self._kept) >= self._most:
            self._kept.popitem(last=False)
        self._kept[key] = value
        self._kept.move_to_end(key)

    def pop(self, key: bytes) -> V | None:
        """Take the value out, if there is one."""
        return self._kept.pop(key, None)

    def clear(self) -> None:
        self._kept.clear()
