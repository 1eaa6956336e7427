"""A client's credentials, to be repeated upstream exactly as they came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.query import pairs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import Field


@dataclass(frozen=True, slots=True)
class Credentials:
    """Lives as long as its request; its repr shows nothing of it."""

    query: str = field(repr=False)
    """The raw ``access_token=…`` pairs of the query."""
    fields: tuple[Field, ...] = field(repr=False)
    """The ``Authorization`` lines."""

    @property
    def is_one(self) -> bool:
        """There is one and no other."""
        return bool(self.query) + len(self.fields) == 1 and "&" not in self.query


def credentials(query: str, fields: Iterable[Field]) -> Credentials:
    return Credentials(
        "&".join(pair.raw for pair in pairs(query) if pair.key == "access_token"),
        tuple(line for line in fields if line[0].lower() == b"authorization"),
    )
