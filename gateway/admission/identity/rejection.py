"""The upstream's 401 for a token that nobody is logged in with, as it is given from memory.

A 401 is about the resource that was asked for (RFC 9110, 15.5.2): TheEye answers ``"forbidden"`` to
good tokens, too, about another organization's tasks and workflows. Only its own look-up failure
(recording auth_errors) speaks of the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.errors import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import Field

MOST_BYTES = 2048
"""Of content and fields together; TheEye's has about 500. A longer one counts for nothing."""
_KEPT = frozenset({b"server", b"content-type"})
"""The Access-Control fields are made anew, for they depend on who asks."""
_LOOKUP_FAILED = "authentication failed"


class _Failure(msgspec.Struct):
    message: object = None
    name: object = None


_decoder = msgspec.json.Decoder(_Failure)


def is_failed_lookup(content: bytes) -> bool:
    """Tell whether it is what TheEye answers where its session service did not tell of a token."""
    try:
        body = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return _LOOKUP_FAILED in (body.name, body.message)


def rejection(
    status: int, reason: bytes, fields: Iterable[Field], content: bytes
) -> Response | None:
    """The response to be given again; None where it does not say that nobody is logged in with the
    token, or not in the plain form in which everybody could read it."""
    if status != 401 or not content:
        return None
    fields = tuple(fields)
    if any(name.lower() == b"content-encoding" for name, _ in fields):
        return None
    kept = tuple(line for line in fields if line[0].lower() in _KEPT)
    size = len(content) + sum(len(name) + len(value) for name, value in kept)
    if size > MOST_BYTES or not is_failed_lookup(content):
        return None
    return Response(status, content, kept, reason)
