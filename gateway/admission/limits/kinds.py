"""Which of the limited kinds a request is."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import unquote

from gateway.protocols.http.query import values
from gateway.protocols.theeye.routes import ResultRoute

if TYPE_CHECKING:
    from gateway.protocols.theeye.routes import Route

MAX_COUNTER_DIGITS = 9


class Limited(StrEnum):
    """A kind of request that has a rate of its own; named as its settings are."""

    CREATE = "create"
    """It makes a job, also where nobody waits for it."""
    RESULT = "result"
    OTHER = "other"


_CREATES = re.compile(r".*/job(?:/secret/[^/]+)?/*(?:;.*)?", re.IGNORECASE | re.DOTALL)
"""TheEye's routes that make a job, of tasks and workflows. Its router ignores case and a slash at
the end, and newer ones of its kind (find-my-way 5) what stands behind a semicolon, so another
spelling must not be cheaper."""


def limited_kind(method: str, path: str, matched: Route | None) -> Limited:
    """The kind of a request for a raw ``path``; ``matched`` is what it is to the sync mode."""
    if isinstance(matched, ResultRoute):
        return Limited.RESULT
    if method == "POST" and (matched is not None or _CREATES.fullmatch(unquote(path))):
        return Limited.CREATE
    return Limited.OTHER


def is_hop(query: str) -> bool:
    """Whether a result request says that it follows a redirect: its ``counter`` is above 0."""
    if "counter" not in query and "%" not in query:
        return False
    given = values(query, "counter")
    text = given[0][:MAX_COUNTER_DIGITS] if len(given) == 1 else ""
    return text.isascii() and text.isdigit() and int(text) > 0
