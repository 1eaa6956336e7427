"""The query of a request target, read without changing a byte of it.

It is read as the upstream reads it, with the npm package ``qs`` (6.9).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

MAX_PAIRS: Final = 1000
"""What stands behind so many parts is not read."""
_MALFORMED = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Pair:
    """One part of a query: as it came, its key as it came, and its key and value decoded."""

    # No dataclass: compiled, that takes twenty times as long to make.
    __slots__ = ("key", "raw", "raw_key", "value")

    def __init__(self, raw: str, raw_key: str, key: str, value: str) -> None:
        self.raw = raw
        self.raw_key = raw_key
        self.key = key
        self.value = value


class Query:
    """The query of a target, behind its first ``?``; parsed once, when that is first asked for."""

    __slots__ = ("_pairs", "raw")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        """As it came."""
        self._pairs: list[Pair] | None = None

    @property
    def pairs(self) -> list[Pair]:
        """The parts between ``&``, in order; empty ones are left out."""
        if self._pairs is None:
            self._pairs = _pairs(self.raw)
        return self._pairs

    def values(self, key: str) -> list[str]:
        """The decoded values of all pairs with this decoded key, in order."""
        return [pair.value for pair in self.pairs if pair.key == key]


NO_QUERY: Final = Query("")


def split(target: str) -> tuple[str, Query]:
    """The path of a target in origin form, and its query."""
    at = target.find("?")
    return (target, NO_QUERY) if at < 0 else (target[:at], Query(target[at + 1 :]))


def _pairs(query: str) -> list[Pair]:
    found = []
    for raw in query.split("&", MAX_PAIRS)[:MAX_PAIRS]:
        if raw:
            # A key in brackets may have an equals sign.
            bracket = raw.find("]=")
            at = raw.find("=") if bracket < 0 else bracket + 1
            raw_key, raw_value = (raw, "") if at < 0 else (raw[:at], raw[at + 1 :])
            found.append(Pair(raw, raw_key, decoded(raw_key), decoded(raw_value)))
    return found


def decoded(text: str) -> str:
    """The text with ``+`` as a space and percent-encoded UTF-8; where any of that is malformed
    nothing of it is decoded."""
    text = text.replace("+", " ")
    if "%" not in text or _MALFORMED.search(text) is not None:
        return text
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text
