"""JSON as JavaScript reads and writes it: ``JSON.parse`` and ``JSON.stringify``.

Python differs in what is accepted (NaN), in numbers (1.0, 1e-07, whole numbers of any size), in
lone surrogates, and in the order of keys that are whole numbers.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

_KEEP_DIGITS = 15
_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Possessive, so that a long string costs one pass and no memory.
_STRING_OR_TINY = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?\d++(?:\.\d++)?e-\d++', re.DOTALL)

_SURROGATES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    # Everything else in as few pieces as there can be. Atomic, not possessive: up to CPython 3.11.4
    # a possessive repetition of a negative lookahead matches too much (gh-100061).
    rb"|(?>(?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F]))+)",
    re.DOTALL,
)


_ANY_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonError(ValueError):
    """The text is not JSON. ``details`` is worded as V8 words it."""

    def __init__(self, details: str) -> None:
        self.details = details
        super().__init__(details)


def parse(text: str) -> Any:
    """
    Raises:
        JsonError: the text is no JSON, or nested too deep.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise JsonError(_details(text, error)) from None
    except (ValueError, RecursionError) as error:
        raise JsonError(str(error)) from None


def has_surrogates(text: bytes) -> bool:
    """Tell whether JSON may have some, lone or not."""
    return _ANY_SURROGATE.search(text) is not None


def without_lone_surrogates(text: bytes) -> bytes:
    """JSON with U+FFFD for those: JavaScript writes them, and msgspec refuses them anywhere."""
    return _SURROGATES.sub(lambda found: rb"\ufffd" if found["lone"] else found[0], text)


def stringify(value: Any) -> str:
    """Compact JSON of a value that ``parse`` gave.

    Raises:
        JsonError: nested too deep.
    """
    try:
        text = _ENCODER.encode(value)
    except RecursionError as error:
        raise JsonError(str(error)) from None
    if "e-" in text:
        text = _STRING_OR_TINY.sub(_as_javascript, text)
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def number(value: float) -> str:
    """A number's text (ECMA-262, Number::toString)."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "null"
    sign, digit_tuple, exponent = Decimal(repr(value)).as_tuple()
    all_digits = "".join(map(str, digit_tuple))
    digits = all_digits.rstrip("0")
    point = len(all_digits) + int(exponent)
    minus = "-" if sign else ""
    if 0 < point <= 21:
        whole = digits[:point].ljust(point, "0")
        fraction = digits[point:]
        return f"{minus}{whole}.{fraction}" if fraction else minus + whole
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{minus}{digits[0]}{fraction}e{point - 1:+d}"


def _number(text: str) -> int | float | None:
    if len(text) <= _KEEP_DIGITS and text.lstrip("-").isdigit():
        return int(text)
    value = float(text)
    if not math.isfinite(value):
        return None
    if value.is_integer() and abs(value) < 1e21:
        return int(number(value))
    return value


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if any(_ARRAY_INDEX.fullmatch(key) for key in found):
        indexes = sorted((key for key in found if _is_array_index(key)), key=int)
        found = {key: found[key] for key in indexes} | found
    return found


def _is_array_index(key: str) -> bool:
    return _ARRAY_INDEX.fullmatch(key) is not None and int(key) < 2**32 - 1


def _refuse(constant: str) -> None:
    raise JsonError(f"Unexpected token {constant[0]} in JSON")


def _as_javascript(found: re.Match[str]) -> str:
    text = found[0]
    return text if text.startswith('"') else number(float(text))


def _details(text: str, error: json.JSONDecodeError) -> str:
    position = error.pos
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    if position >= len(text):
        return "Unexpected end of JSON input"
    return f"Unexpected token {text[position]} in JSON at position {position}"


_DECODER = json.JSONDecoder(
    parse_int=_number,
    parse_float=_number,
    parse_constant=_refuse,
    object_pairs_hook=_object,
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
