"""A rule that settings break."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A rule that the settings at ``keys`` break."""

    keys: tuple[str, ...]
    message: str
