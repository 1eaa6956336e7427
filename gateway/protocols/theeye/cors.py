"""The fields of our own answers that are as the upstream's: its Access-Control ones, so that
browsers may read and follow them, and its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.protocols.http.fields import has

if TYPE_CHECKING:
    from collections.abc import Iterable

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

EXPOSED: Field = (
    b"Access-Control-Expose-Headers",
    b"Retry-After, X-TheEye-Job-Id, X-TheEye-Job-State, RateLimit, RateLimit-Policy",
)
"""What scripts may read of our own errors besides what they always may. By name: for requests with
credentials ``*`` is a name, too."""


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
