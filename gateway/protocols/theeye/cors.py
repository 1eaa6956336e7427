"""The fields of our own responses that are as the upstream's: its Access-Control ones, so that
browsers may read and follow them, and its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.protocols.http.fields import has, list_members, value, values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.errors import Field

_THEEYE: tuple[Field, ...] = (
    (b"Access-Control-Allow-Methods", b"GET,PUT,PATCH,POST,DELETE,OPTIONS"),
    (b"Access-Control-Allow-Credentials", b"true"),
    (
        b"Access-Control-Allow-Headers",
        (
            b"Accept, Accept-Charset, Accept-Encoding, Accept-Version, Authorization, "
            b"Cache-Control, Content-Length, Content-Type, Origin, User-Agent, X-Requested-With"
        ),
    ),
)

EXPOSED: Final = (
    b"Location",
    b"Content-Location",
    b"Retry-After",
    b"Preference-Applied",
    b"Idempotent-Replayed",
    b"X-TheEye-Job-Id",
    b"X-TheEye-Job-State",
    b"RateLimit",
    b"RateLimit-Policy",
    b"X-Request-Id",
)
"""What scripts may read of our own responses besides what they always may. By name: for requests
with credentials ``*`` is a name, too."""
UNDERSTOOD: Final = (
    b"Prefer",
    b"Idempotency-Key",
    b"X-TheEye-On-Timeout",
    b"X-TheEye-On-Disconnect",
    b"Last-Event-ID",
    b"Authorization",
    b"Content-Type",
)
"""Fields of requests that the gateway's own routes understand."""
_SAFELISTED: Final = frozenset({b"GET", b"HEAD", b"POST"})
"""Methods that no preflight has to name (Fetch, 2.2.1)."""
_MAX_AGE: Field = (b"Access-Control-Max-Age", b"600")
"""Seconds that a browser may remember a preflight: few enough that another configuration of the
upstream is soon noticed."""


def is_preflight(method: str, names: list[bytes], *, has_content: bool) -> bool:
    """Tell whether a browser asks before another request, for whoever is logged in (Fetch, 4.8).

    ``names`` are those of the fields in lower case.
    """
    is_asking = method == "OPTIONS" and has(names, b"access-control-request-method")
    return is_asking and has(names, b"origin") and not has_content


def cross_origin_fields(
    origin: bytes | None, upstream_fields: Iterable[Field] = ()
) -> tuple[Field, ...]:
    """The upstream's own Access-Control fields; TheEye's where it sent none, or was not asked.

    ``origin`` is the client's, None where it sent none.
    """
    copied = tuple(
        field for field in upstream_fields if field[0].lower().startswith(b"access-control-")
    )
    if copied:
        return copied
    return ((b"Access-Control-Allow-Origin", origin or b"*"), *_THEEYE)


def carried_fields(origin: bytes | None, upstream_fields: Iterable[Field]) -> tuple[Field, ...]:
    """The fields that a response made from one of the upstream's has of that: ``Server``, and the
    Access-Control fields."""
    fields = tuple(upstream_fields)
    named = tuple(field for field in fields if field[0].lower() == b"server")
    return (*named, *cross_origin_fields(origin, fields))


def exposing(fields: Sequence[Field]) -> tuple[Field, ...]:
    """The fields of a response of our own, all that it may have exposed to scripts."""
    return _naming(fields, b"Access-Control-Expose-Headers", EXPOSED)


def understanding(fields: Sequence[Field], method: bytes = b"") -> tuple[Field, ...]:
    """The fields of the upstream's response to a preflight of one of the gateway's own routes, with
    what the gateway understands. One that does not let the origin in is left as it is.

    ``method`` is that of the request asked for, which some have to name.
    """
    if value(fields, b"access-control-allow-origin") is None:
        return tuple(fields)
    named = _naming(fields, b"Access-Control-Allow-Headers", UNDERSTOOD)
    if method and method not in _SAFELISTED:
        named = _naming(named, b"Access-Control-Allow-Methods", (method,))
    is_aged = value(named, _MAX_AGE[0].lower()) is not None
    return named if is_aged else (*named, _MAX_AGE)


def _naming(fields: Sequence[Field], name: bytes, members: Sequence[bytes]) -> tuple[Field, ...]:
    """The fields with a list that names all ``members``: those that are missing, in any case, are
    added to the first line of it, or as a line at the end."""
    lowered = name.lower()
    named = {member.lower() for member in list_members(values(fields, lowered))}
    missing = b", ".join(member for member in members if member.lower() not in named)
    if not missing:
        return tuple(fields)
    completed = list(fields)
    for at, (key, line) in enumerate(fields):
        if key.lower() == lowered:
            begun = line.rstrip(b", \t")
            completed[at] = (key, b"%b, %b" % (begun, missing) if begun else missing)
            return tuple(completed)
    return (*fields, (name, missing))
