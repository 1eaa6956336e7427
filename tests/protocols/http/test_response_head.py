"""What is added to the fields of a response, and when."""

from __future__ import annotations

import pytest

from gateway.errors import Response
from gateway.protocols.http.response_head import NO_CONTENT, REASONS, completed, has_content


def test_rfc_9110_6_6_1_length_and_date_are_added_where_they_are_missing() -> None:
    fields = completed(Response(200, b"hello", ((b"X-A", b"1"),)))
    assert fields[:2] == [(b"X-A", b"1"), (b"Content-Length", b"5")]
    assert fields[2][0] == b"Date"
    assert fields[2][1].endswith(b" GMT")


def test_rfc_9110_6_6_1_length_and_date_stay_as_they_are() -> None:
    given = ((b"content-length", b"5"), (b"date", b"today"))
    assert completed(Response(200, b"hello", given)) == list(given)


@pytest.mark.parametrize("status", sorted(NO_CONTENT))
def test_rfc_9110_8_6_what_has_no_content_has_no_length(status: int) -> None:
    assert [name for name, _ in completed(Response(status, fields=()))] == [b"Date"]
    assert not has_content("GET", status)


def test_rfc_9110_9_3_2_response_to_head_has_no_content() -> None:
    assert has_content("GET", 200)
    assert not has_content("HEAD", 200)


def test_reasons_are_the_registered_ones() -> None:
    assert REASONS[200] == b"OK"
    assert REASONS[429] == b"Too Many Requests"
