"""Field lines between two hops, as RFC 9110 has them. Pure; fields keep their order and case."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.errors import Field

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that concern one connection only (RFC 9110, 7.6.1)."""
_LENGTHS: Final = sum(1 << length for length in {len(name) for name in HOP_BY_HOP})
"""A bit for each length that one of their names has. Most other names have another, and to see that
takes a tenth of what it takes to hash a name that was just received."""

FOR_EVERYBODY: Final = frozenset(
    {
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cookie",
        b"forwarded",
        b"host",
        b"max-forwards",
        b"origin",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-request-id",
    }
)
"""Fields that concern every recipient, so that ``Connection`` must not name them (RFC 9110, 7.6.1)
and drops none of them. The message is judged by them here: without one the next hop would see
another message, with another token, client, or end."""
_NAMES_NOTHING: Final = FOR_EVERYBODY | {b"close", b"keep-alive", b""}
"""Options of ``Connection`` that drop no field."""


def values(fields: Iterable[Field], name: bytes) -> list[bytes]:
    """The values of all lines named ``name`` (given in lower case), in order."""
    return [value for key, value in fields if key.lower() == name]


def value(fields: Iterable[Field], name: bytes) -> bytes | None:
    """The value of the first line named ``name`` (given in lower case)."""
    for key, content in fields:
        if key.lower() == name:
            return content
    return None


def list_members(lines: Iterable[bytes]) -> list[bytes]:
    """The members of a comma-separated field, over all its lines (RFC 9110, 5.6.1)."""
    return [member for line in lines for part in line.split(b",") if (member := part.strip())]


def lowered(fields: Iterable[Field]) -> list[bytes]:
    """The names in lower case, in order: what the questions below are asked of."""
    return [name.lower() for name, _ in fields]


def has(names: list[bytes], name: bytes) -> bool:
    """Tell whether a line is named ``name``, by all names in lower case."""
    # Several times faster than ``in``, which compares them as any two objects.
    for found in names:  # noqa: SIM110 - asked a dozen times of each request
        if found == name:
            return True
    return False


def count(names: list[bytes], name: bytes) -> int:
    """How many lines are named ``name``, by all names in lower case."""
    lines = 0
    for found in names:
        if found == name:
            lines += 1
    return lines


def first(fields: Sequence[Field], names: list[bytes], name: bytes) -> bytes | None:
    """The same as ``value``, in less time where all names are at hand in lower case."""
    for at, found in enumerate(names):
        if found == name:
            return fields[at][1]
    return None


def connection_options(fields: Sequence[Field]) -> frozenset[bytes]:
    """The options that ``Connection`` names, in lower case (RFC 9110, 7.6.1)."""
    return frozenset(option.lower() for option in list_members(values(fields, b"connection")))


def end_to_end(fields: Sequence[Field], names: list[bytes] | None = None) -> list[Field]:
    """The lines that go on to the next hop: no hop-by-hop field, none that ``Connection`` names.

    ``names`` are those of ``fields`` in lower case, where they are at hand.
    """
    if names is None:
        names = lowered(fields)
    dropped = [
        at
        for at, name in enumerate(names)
        if (_LENGTHS >> len(name)) & 1 == 1 and name in HOP_BY_HOP
    ]
    kept = list(fields)
    for at in reversed(dropped):
        # Nearly always it names nothing.
        option = fields[at][1]
        if (
            names[at] == b"connection"
            and option != b"keep-alive"
            and option.lower() not in _NAMES_NOTHING
        ):
            named = HOP_BY_HOP | (connection_options(fields) - _NAMES_NOTHING)
            return [fields[at] for at, name in enumerate(names) if name not in named]
        del kept[at]
    return kept


def has_length(fields: Iterable[Field]) -> bool:
    """Tell whether ``Content-Length`` is given."""
    return value(fields, b"content-length") is not None


def without(fields: Iterable[Field], *names: bytes) -> list[Field]:
    """The lines whose name (compared in lower case) is none of ``names``."""
    return [line for line in fields if line[0].lower() not in names]


def keep_alive_seconds(fields: Iterable[Field]) -> float | None:
    """The ``timeout`` a peer announces in ``Keep-Alive``, as Node does."""
    return _timeout(b",".join(values(fields, b"keep-alive")))


@lru_cache(maxsize=64)
def _timeout(parameters: bytes) -> float | None:
    for parameter in list_members([parameters]):
        name, _, seconds = parameter.partition(b"=")
        if name.strip().lower() == b"timeout" and seconds.strip().isdigit():
            return float(seconds[:9])
    return None
