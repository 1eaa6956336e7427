from __future__ import annotations

import pytest
from aiohttp.http_exceptions import BadStatusLine, LineTooLong

from gateway.malformed import HeadTooLong, malformed


@pytest.mark.parametrize(
    ("cause", "status", "message"),
    [
        (HeadTooLong("The request's fields have more than 9 bytes"), 431, "more than 9 bytes"),
        (LineTooLong(b"GET /", 4096), 414, "target has more than 4096 bytes"),
        (LineTooLong(b"X: y", 8192), 431, "A field"),
        (BadStatusLine("?"), 400, "RFC 9112"),
    ],
)
def test_client_is_told_what_was_wrong(cause: Exception, status: int, message: str) -> None:
    answer = malformed(cause, 4096)
    assert answer.status == status
    assert message in answer.message
