"""One element of a JSON array, found without reading the others as values. Pure.

An output may have megabytes. What stands before the element is passed over a string at a time; a
long string in pieces, so that no step keeps other threads from running.
"""

from __future__ import annotations

import re

MAX_STEPS = 500_000
"""Strings, brackets and commas that are passed; more would take seconds."""

_QUOTE = ord('"')
_NEXT = re.compile(rb'["\[\]{},]')
_OPENING = re.compile(rb"[ \t\r\n]*+\[(?![ \t\r\n]*+\])")
_PIECE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+){0,2048}+', re.DOTALL)
_SPACE = b" \t\r\n"


class TooManyParts(Exception):
    """The element is behind more than ``MAX_STEPS`` parts."""


def element(array: bytes | memoryview, index: int) -> bytes | None:
    """The element's bytes; None where ``array``, which is valid JSON, is no array or has none such.

    Raises:
        TooManyParts: it would take too long to find.
    """
    opening = _OPENING.match(array)
    if opening is None:
        return None
    begin = position = opening.end()
    depth = 0
    for _ in range(MAX_STEPS):
        found = _NEXT.search(array, position)
        assert found is not None, "valid JSON closes what it opens"
        position = found.end()
        mark = array[found.start()]
        if mark == _QUOTE:
            position = _end_of_string(array, position)
        elif mark in b"[{":
            depth += 1
        elif depth:
            depth -= mark in b"]}"
        else:
            if index == 0:
                return bytes(array[begin : found.start()]).strip(_SPACE)
            if mark == ord("]"):
                return None
            index -= 1
            begin = position
    raise TooManyParts


def _end_of_string(text: bytes | memoryview, position: int) -> int:
    """Where the string ends in which ``position`` is."""
    while text[position] != _QUOTE:
        piece = _PIECE.match(text, position)
        assert piece is not None
        position = piece.end()
    return position + 1
