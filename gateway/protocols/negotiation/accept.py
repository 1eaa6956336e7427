"""``Accept``: whether a client names a media type (RFC 9110, 12.5.1). Pure.

Only a range that is the type itself names it. ``*/*`` and ``application/*``, which most clients
send without a thought, do not: who gets another form than everybody has asked for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUOTED = rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
"""A quoted string (RFC 9110, 5.6.4); one that has no end goes to that of the line. It matches at
each quote, so that no line is read twice."""
_MEMBER = re.compile(rb'(?:[^",]+|%b)+' % _QUOTED, re.DOTALL)
_PART = re.compile(rb'(?:[^";]+|%b)+' % _QUOTED, re.DOTALL)
_BLANK = b" \t"
_WEIGHT = re.compile(rb"q=(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
"""RFC 9110, 12.4.2."""
_ZERO = re.compile(rb"q=[0.]*", re.IGNORECASE)


def is_named(lines: Iterable[bytes], media_type: bytes) -> bool:
    """Tell whether the field names ``media_type`` (given in lower case) with a weight above 0.

    Several ``lines`` are one list. Where the type stands there more than once, one weight of 0
    refuses it. Its other parameters are not looked at. A member whose weight is malformed is as if
    it were not there.
    """
    is_accepted = False
    for line in lines:
        if media_type not in line.lower():
            continue
        for member in _MEMBER.findall(line):
            found, *parameters = (part.strip(_BLANK) for part in _PART.findall(member))
            if found.lower() != media_type:
                continue
            weight = next((each for each in parameters if each[:2].lower() == b"q="), b"q=1")
            if _WEIGHT.fullmatch(weight) is None:
                continue
            if _ZERO.fullmatch(weight):
                return False
            is_accepted = True
    return is_accepted
