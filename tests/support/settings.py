"""Settings that differ from the defaults, by their dotted keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.config import Config
from gateway.config.tree import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN = settings()
_TEXTS = ("verify", "text", "redis", "cancel", "4.15", "debug", "report", "nobody", "changed")


def chosen(values: Mapping[str, object]) -> Config:
    """The defaults but for ``values``."""
    tree: dict[str, Any] = msgspec.to_builtins(Config())
    for key, value in values.items():
        *path, name = key.split(".")
        table = tree
        for part in path:
            table = table[part]
        table[name] = value
    return msgspec.convert(tree, Config)


def other(key: str) -> object:
    """A value that the setting may have, and that is not its default."""
    default = KNOWN[key].default
    candidates: list[object] = [*_TEXTS]
    if isinstance(default, bool):
        candidates = [not default]
    elif isinstance(default, int | float):
        numbers = (default + 1, default - 1, default / 2, 504)
        candidates = [type(default)(number) for number in numbers]
    elif isinstance(default, tuple):
        candidates = [[{"user": "somebody", "holds": 7}], ["10.0.0.0/8"]]
    return next(value for value in candidates if value != default and _fits(value, key))


def _fits(value: object, key: str) -> bool:
    try:
        msgspec.convert(value, KNOWN[key].type)
    except msgspec.ValidationError:
        return False
    return True
