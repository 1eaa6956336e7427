"""``Max-Forwards``: how far a TRACE or OPTIONS may go, and its response where that is
not beyond here (RFC 9110, 7.6.2, 9.3.7 and 9.3.8). Other methods' is left as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.errors import NO_STORE, BadRequest, Response
from gateway.protocols.http.fields import values
from gateway.protocols.theeye.redaction import is_secret_field, redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import Field

COUNTED: Final = frozenset({"OPTIONS", "TRACE"})
_NAME = b"max-forwards"
_MOST = 999_999_999
"""More than anybody has hops; a larger number becomes this."""
_DIGITS = b"0123456789"
_ALLOW: Field = (b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE")
_REFLECTED: tuple[Field, ...] = (
    (b"Content-Type", b"message/http"),
    # Nobody may take for a page what a request says.
    (b"X-Content-Type-Options", b"nosniff"),
    NO_STORE,
)


def max_forwards(method: str, fields: Sequence[Field], names: Sequence[bytes]) -> int | None:
    """Read how often the request may be forwarded, None where that is not bounded.

    ``names`` are those of ``fields`` in lower case.

    Raises:
        BadRequest: it is not one whole number.
    """
    if method not in COUNTED or _NAME not in names:
        return None
    given = values(fields, _NAME)
    digits = given[0].strip()
    if len(given) > 1 or not digits or digits.strip(_DIGITS):
        raise BadRequest("Max-Forwards must be one whole number")
    return _MOST if len(digits) > len(str(_MOST)) else int(digits)


def forwarded_once(fields: list[Field], left: int) -> list[Field]:
    """The fields for the next hop of a request that may be forwarded ``left`` times, from here."""
    counted = b"%d" % (left - 1)
    return [(name, counted if name.lower() == _NAME else value) for name, value in fields]


def final_response(method: str, target: str, fields: Sequence[Field]) -> Response:
    """The response of the last recipient.

    To TRACE it is the request as it was received, but for what of its target is secret and the
    fields that speak of a secret: scripts of a browser must not get to see those.
    """
    if method == "OPTIONS":
        return Response(204, fields=(_ALLOW,))
    lines = [b"TRACE %b HTTP/1.1" % redact(target).encode("ascii")]
    lines += [
        name + b": " + value
        for name, value in fields
        if not is_secret_field(name.decode("latin-1"), value.decode("latin-1"))
    ]
    return Response(200, b"\r\n".join([*lines, b"", b""]), _REFLECTED)
