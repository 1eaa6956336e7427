"""The end of a response's content, by its status line and fields (RFC 9112, 6.3). Pure.

A response that says it in a way that others could read differently is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.errors import BadGateway
from gateway.protocols.http.fields import first
from gateway.protocols.http.response_head import has_content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import Field

_LENGTH_DIGITS: Final = 18
"""Digits that surely fit where others count lengths; llhttp takes 2^64 - 1 for none."""
UNFRAMED: Final = frozenset({101, 204})
"""Statuses of responses without any framing (RFC 9110, 8.6; RFC 9112, 6.1)."""


class Framing:
    """The way in which a response's content is delimited."""

    __slots__ = ("is_doubtful", "length", "until_close")

    def __init__(self, length: int | None, until_close: bool, is_doubtful: bool) -> None:
        self.length = length
        """The length of the content in bytes where it is named; None without content, too."""
        self.until_close = until_close
        """The end of the connection is the end of the content."""
        self.is_doubtful = is_doubtful
        """Content may follow that the response can't have: the connection is not to be kept."""


def framing_of(
    method: str, status: int, version: str, fields: Sequence[Field], names: list[bytes]
) -> Framing:
    """The framing of a final response, or of 101, to a request with ``method``.

    ``names`` are those of ``fields`` in lower case; ``version`` is like "1.1".

    Raises:
        BadGateway: neither HTTP/1.0 nor 1.1; a transfer coding other than chunked, or in HTTP/1.0
            (RFC 9112, 6.1); a length that could overflow; a status below 100.
    """
    if status < 100:
        raise BadGateway("The upstream's answer has no status of HTTP")
    if version != "1.1" and version != "1.0":  # noqa: PLR1714 - a set takes several times longer
        raise BadGateway(f"The upstream's answer is HTTP/{version}, which was not asked for")
    coding = first(fields, names, b"transfer-encoding")
    is_chunked = coding is not None
    if coding is not None:
        is_known = coding.strip().lower() == b"chunked" and names.count(b"transfer-encoding") == 1
        if not is_known or version == "1.0":
            raise BadGateway("The upstream's answer has a coding not understood")
    length = None
    digits = first(fields, names, b"content-length")
    if digits is not None:
        if len(digits) > _LENGTH_DIGITS and len(digits.strip()) > _LENGTH_DIGITS:
            raise BadGateway("The upstream's answer has a length that is too large to be true")
        length = int(digits)
    if not has_content(method, status):
        is_doubtful = status in UNFRAMED and (is_chunked or bool(length))
        return Framing(None, False, is_doubtful)
    return Framing(length, length is None and not is_chunked, False)


def without_framing(fields: list[Field], names: list[bytes]) -> list[Field]:
    """The fields that a response with such a status may have: none of them is ``Content-Length``.
    ``names`` is kept in step."""
    kept = [at for at, name in enumerate(names) if name != b"content-length"]
    names[:] = [names[at] for at in kept]
    return [fields[at] for at in kept]
