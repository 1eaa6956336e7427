"""Completes the head of a response beside its own fields (RFC 9110, 6.6.1, 8.6 and 15)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from gateway.errors import Field, Response
from gateway.protocols.http.fields import has_length, value

REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
NO_CONTENT: Final = frozenset({101, 204, 304})
"""Statuses whose responses have no content."""


def has_content(method: str, status: int) -> bool:
    """Tell whether content follows the head."""
    return method != "HEAD" and status not in NO_CONTENT


def completed(response: Response) -> list[Field]:
    """The fields of a whole response, with its length and the date where they are missing."""
    fields = list(response.fields)
    if response.status not in NO_CONTENT and not has_length(fields):
        fields.append((b"Content-Length", b"%d" % len(response.content)))
    if value(fields, b"date") is None:
        fields.append((b"Date", _date(datetime.now(UTC).replace(microsecond=0))))
    return fields


@lru_cache(maxsize=1)
def _date(second: datetime) -> bytes:
    """An IMF-fixdate (RFC 9110, 5.6.7), made once for all responses of the second."""
    return format_datetime(second, usegmt=True).encode("ascii")
