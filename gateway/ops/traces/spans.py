"""A span that is over, as it is exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from gateway.tracing.facts import SpanId

Attributes = Mapping[str, str | int | float]


class SpanRole(Enum):
    """Whose side of a message it is."""

    SERVER = auto()
    """Of a request that was answered."""
    CLIENT = auto()
    """Of one that was sent."""
    INTERNAL = auto()
    """Of none."""


@dataclass(frozen=True, slots=True)
class FinishedSpan:
    """Times are nanoseconds since 1970."""

    name: str
    role: SpanRole
    span: SpanId
    parent_id: str
    """In the same trace; empty where the trace begins with this span."""
    started: int
    ended: int
    attributes: Attributes
    links: tuple[SpanId, ...] = ()
    error: str = ""
    """What went wrong, in a word; empty where nothing did."""
    is_remote: bool = field(default=False, kw_only=True)
    """The parent is another process's."""
