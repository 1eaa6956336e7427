"""A client's credentials, to be repeated upstream exactly as they came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.admission.identity.token import is_token_parameter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import Field
    from gateway.protocols.http.query import Query


@dataclass(frozen=True, slots=True)
class Credentials:
    """Lives as long as its request; its repr shows nothing of it."""

    query: str = field(repr=False)
    """The raw ``access_token=…`` pairs of the query."""
    fields: tuple[Field, ...] = field(repr=False)
    """The ``Authorization`` lines."""


def credentials(query: Query, fields: Iterable[Field]) -> Credentials:
    return Credentials(
        "&".join(pair.raw for pair in query.pairs if is_token_parameter(pair.key)),
        tuple(line for line in fields if line[0].lower() == b"authorization"),
    )
