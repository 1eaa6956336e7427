"""The query of a request target, read without changing a byte of it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_plus


@dataclass(frozen=True, slots=True)
class Pair:
    """One part of a query: as it came, and its key and value decoded."""

    raw: str
    key: str
    value: str

    @property
    def raw_key(self) -> str:
        return self.raw.partition("=")[0]


def query_of(target: str) -> str:
    """What stands after the first ``?`` of a target, as it came."""
    return target.partition("?")[2]


MAX_PAIRS = 1000
"""What stands behind so many parts is not read, as in the upstream (Node's querystring)."""


def pairs(query: str) -> list[Pair]:
    """The parts between ``&``, in order. Percent-encoding is UTF-8 and ``+`` a space."""
    found = []
    for raw in query.split("&", MAX_PAIRS)[:MAX_PAIRS]:
        if raw:
            key, _, value = raw.partition("=")
            found.append(Pair(raw, unquote_plus(key), unquote_plus(value)))
    return found


def values(query: str, key: str) -> list[str]:
    """The decoded values of all pairs with this decoded key, in order."""
    return [pair.value for pair in pairs(query) if pair.key == key]
