"""Undoes the content coding gzip, within a bound (RFC 9110, 8.4.1). Pure."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from gateway.protocols.http.fields import list_members, values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import Field

_MOST_MEMBERS = 16
"""A gzip file may be several in a row (RFC 1952, 2.2), each of which costs more than its bytes."""
_MAGIC = b"\x1f\x8b"
_GZIP = 31
"""zlib's number for a gzip member with any window."""


class Undecodable(Exception):
    """The coding is not known here, or the content is not in it."""


class InflatesTooFar(Exception):
    """The content has more than may be held."""


def codings(fields: Iterable[Field]) -> list[bytes]:
    """The content codings in the order in which they were applied, in lower case."""
    named = list_members(values(fields, b"content-encoding"))
    return [coding for name in named if (coding := name.lower()) != b"identity"]


def inflated(content: bytes, fields: Iterable[Field], max_bytes: int) -> bytes:
    """The content without the codings that ``fields`` name.

    Raises:
        Undecodable, InflatesTooFar: with more than ``max_bytes``.
    """
    applied = codings(fields)
    if not applied:
        return content
    if applied not in ([b"gzip"], [b"x-gzip"]):
        raise Undecodable
    pieces: list[bytes] = []
    left = max_bytes
    for _ in range(_MOST_MEMBERS):
        inflater = zlib.decompressobj(_GZIP)
        try:
            piece = inflater.decompress(content, left + 1)
        except zlib.error:
            raise Undecodable from None
        left -= len(piece)
        if left < 0:
            raise InflatesTooFar
        if not inflater.eof:
            raise Undecodable
        pieces.append(piece)
        content = inflater.unused_data
        if not content.startswith(_MAGIC):
            # What else may follow is padding, which zlib's own tools ignore, too.
            return b"".join(pieces)
    raise Undecodable
