"""Is it a message that may be passed on? What two parties could read differently is refused.

The parser (llhttp, strict) has already refused contradictory lengths, folded lines and the like.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.errors import BadRequest, FieldsTooLarge
from gateway.fields import values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import Field

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LINE_OVERHEAD = len(": \r\n")


def check(fields: Sequence[Field], *, is_http_1_1: bool, fields_bytes: int) -> None:
    """Check a request's field lines.

    Raises:
        FieldsTooLarge: together they have more than ``fields_bytes``.
        BadRequest: no or several ``Host`` (RFC 9112, 3.2), a transfer coding other than chunked
            or in HTTP/1.0 (RFC 9112, 6.1), a control character in a value (RFC 9110, 5.5).
    """
    if sum(len(name) + len(value) + _LINE_OVERHEAD for name, value in fields) > fields_bytes:
        raise FieldsTooLarge(f"The request's fields have more than {fields_bytes} bytes")
    hosts = len(values(fields, b"host"))
    if hosts > 1 or (is_http_1_1 and not hosts):
        raise BadRequest("A request must have exactly one Host field")
    codings = values(fields, b"transfer-encoding")
    if codings and (not is_http_1_1 or [c.strip().lower() for c in codings] != [b"chunked"]):
        raise BadRequest("The only transfer coding understood is chunked")
    if _CONTROL.search(b"\t".join(value for _, value in fields)):
        raise BadRequest("A field value has a control character")
