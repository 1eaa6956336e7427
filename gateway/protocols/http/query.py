"""The query of a request target, read without changing a byte of it.

It is read as the upstream reads it, with the npm package ``qs`` (6.9).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

MAX_PAIRS = 1000
"""What stands behind so many parts is not read."""
_MALFORMED = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Pair:
    """One part of a query: as it came, its key as it came, and its key and value decoded."""

    raw: str
    raw_key: str
    key: str
    value: str


def query_of(target: str) -> str:
    """What stands after the first ``?`` of a target, as it came."""
    return target.partition("?")[2]


def pairs(query: str) -> list[Pair]:
    """The parts between ``&``, in order."""
    found = []
    for raw in query.split("&", MAX_PAIRS)[:MAX_PAIRS]:
        if raw:
            # A key in brackets may have an equals sign.
            bracket = raw.find("]=")
            at = raw.find("=") if bracket < 0 else bracket + 1
            raw_key, raw_value = (raw, "") if at < 0 else (raw[:at], raw[at + 1 :])
            found.append(Pair(raw, raw_key, decoded(raw_key), decoded(raw_value)))
    return found


def values(query: str, key: str) -> list[str]:
    """The decoded values of all pairs with this decoded key, in order."""
    return [pair.value for pair in pairs(query) if pair.key == key]


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
