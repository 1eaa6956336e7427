"""Which requests are traced. Pure.

A trace is decided upon once: by the caller, where its flag is believed, else here. What an outsider
says is not believed unless the settings want that, for each traced request costs memory, and the
collector's disk. Nor can one choose ids that are always taken: they are hashed with a key.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from gateway.protocols.tracing.trace_context import TraceParent

Believed = Literal["proxies", "everybody", "nobody"]
DRAWN_BITS: Final = 53


class Sampling:
    """``ratio`` from 0 to 1: the part of traces that is taken of those that nobody decided upon.
    ``key``: the same in all processes that are to decide alike, and not known outside."""

    def __init__(self, ratio: float, believed: Believed, key: bytes) -> None:
        self._bound = int(ratio * 2.0**DRAWN_BITS)
        self._believed = believed
        self._key = blake2b(key, digest_size=32).digest()

    def takes_new(self, drawn: int) -> bool:
        """Tell whether a trace that begins here is taken; ``drawn``: ``DRAWN_BITS`` random bits."""
        return drawn < self._bound

    def takes(self, parent: TraceParent, *, is_trusted: bool) -> bool:
        """Tell whether a caller's trace is taken, the same for each of its requests."""
        if self._believed == "everybody" or (is_trusted and self._believed == "proxies"):
            return parent.is_sampled
        trace_id = bytes.fromhex(parent.trace_id)
        hashed = blake2b(trace_id, digest_size=8, key=self._key).digest()
        return int.from_bytes(hashed, "big") >> (64 - DRAWN_BITS) < self._bound
