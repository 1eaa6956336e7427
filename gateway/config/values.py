"""What settings are made of: tables, and the ranges of numbers.

Names of settings end in their unit: ``_seconds``, ``_bytes``.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86400)]
MAX_COUNT = 1_000_000
Count = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Bytes = Annotated[int, Meta(ge=1024, le=2**31)]
PerSecond = Annotated[float, Meta(ge=0.001, le=100_000)]
MIB = 1024 * 1024


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the settings file; an unknown key is an error."""
