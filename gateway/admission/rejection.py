"""The upstream's 401 for a token that nobody is logged in with, as it is given from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import Field

MOST_BYTES = 2048
"""Of content and fields together; TheEye's has about 500. A longer one is not kept."""
_KEPT = frozenset({b"server", b"content-type"})
"""The Access-Control fields are made anew, for they depend on who asks."""


def rejection(status: int, reason: bytes, fields: Iterable[Field], content: bytes) -> Answer | None:
    """The answer to be given again; None where it is no 401, or one that not everybody could
    read."""
    if status != 401 or not content:
        return None
    fields = tuple(fields)
    if any(name.lower() == b"content-encoding" for name, _ in fields):
        return None
    kept = tuple(line for line in fields if line[0].lower() in _KEPT)
    size = len(content) + sum(len(name) + len(value) for name, value in kept)
    return Answer(status, content, kept, reason) if size <= MOST_BYTES else None
