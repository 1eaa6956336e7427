"""Refuses requests that two parties could read differently, one as another message.

Whoever read the head has already refused contradictory lengths, folded lines, control characters
and the like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.errors import BadRequest, FieldsTooLarge
from gateway.protocols.http.fields import count, first, has, values
from gateway.protocols.http.host import is_host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import Field

_LINE_OVERHEAD: Final = len(": \r\n")


def check(
    fields: Sequence[Field],
    names: list[bytes],
    *,
    version: tuple[int, int],
    fields_bytes: int,
) -> None:
    """Check a request's field lines; ``names`` are their names in lower case.

    Raises:
        FieldsTooLarge: together they have more than ``fields_bytes``.
        BadRequest: neither HTTP/1.0 nor 1.1; no or several ``Host``, or one that is not a host
            (RFC 9112, 3.2); a transfer coding other than chunked, or in HTTP/1.0 (RFC 9112, 6.1).
    """
    is_http_1_1 = version == (1, 1)
    if not is_http_1_1 and version != (1, 0):
        raise BadRequest("Only HTTP/1.1 and 1.0 are spoken here")
    size = 0
    for name, value in fields:
        size += len(name) + len(value) + _LINE_OVERHEAD
    if size > fields_bytes:
        raise FieldsTooLarge.than(fields_bytes)
    host = first(fields, names, b"host")
    if (host is None and is_http_1_1) or count(names, b"host") > 1:
        raise BadRequest("A request must have exactly one Host field")
    # Empty is what a client says that knows no host.
    if host and not is_host(host):
        raise BadRequest("Host must name one host, and may name a port")
    if has(names, b"transfer-encoding"):
        codings = values(fields, b"transfer-encoding")
        if not is_http_1_1 or [coding.strip().lower() for coding in codings] != [b"chunked"]:
            raise BadRequest("The only transfer coding understood is chunked")
