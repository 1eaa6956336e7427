"""``traceparent``: which trace a request belongs to (W3C Trace Context, levels 1 and 2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLED: Final = 0b01
"""The caller may have recorded its part of the trace (3.2.2.5.1)."""
RANDOM: Final = 0b10
"""The last seven bytes of the trace's id were chosen at random (level 2, 3.2.2.5.2)."""
_KNOWN_FLAGS: Final = SAMPLED | RANDOM

_FORM: Final = re.compile(
    rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.DOTALL
)
_LENGTH: Final = 55
"""Of version 00, which has nothing after its flags (3.2.2.2)."""
_NO_TRACE: Final = b"0" * 32
_NO_PARENT: Final = b"0" * 16


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A trace's id (32 hexadecimal digits in lower case), the id of the caller's span in it (16),
    and flags; of these only ``SAMPLED`` and ``RANDOM``."""

    trace_id: str
    parent_id: str
    flags: int = 0

    @property
    def is_sampled(self) -> bool:
        return bool(self.flags & SAMPLED)

    def written(self) -> bytes:
        """The field's value, in version 00 (3.2.4: the highest that is known)."""
        return f"00-{self.trace_id}-{self.parent_id}-{self.flags:02x}".encode("ascii")


def trace_parent(values: Sequence[bytes]) -> TraceParent | None:
    """What the lines named ``traceparent`` of one message say; None unless it is one valid line.

    A version above 00 is read by the fields that it shares with 00, and of its flags only
    ``SAMPLED`` is known (3.2.4). Flags without a meaning are left out (3.2.2.5.3).
    """
    if len(values) != 1:
        return None
    form = _FORM.fullmatch(values[0])
    if form is None:
        return None
    version, trace_id, parent_id, flags = form.groups()
    if version == b"ff" or trace_id == _NO_TRACE or parent_id == _NO_PARENT:
        return None
    known = SAMPLED
    if version == b"00":
        if len(values[0]) != _LENGTH:
            return None
        known = _KNOWN_FLAGS
    return TraceParent(trace_id.decode("ascii"), parent_id.decode("ascii"), int(flags, 16) & known)
