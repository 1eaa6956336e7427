"""Where an answer's content ends. With bytes: test_response_reader.py."""

from __future__ import annotations

import pytest

from gateway.errors import BadGateway, Field
from gateway.protocols.http.fields import lowered
from gateway.upstream.messages.response_framing import framing_of, without_framing

CHUNKED = (b"Transfer-Encoding", b"Chunked")


def framed(
    *fields: Field, method: str = "GET", status: int = 200, version: str = "1.1"
) -> tuple[int | None, bool, bool]:
    framing = framing_of(method, status, version, fields, lowered(fields))
    return framing.length, framing.until_close, framing.is_doubtful


def length(digits: bytes) -> Field:
    return b"content-length", digits


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_rfc_9112_6_3_content_has_a_length_or_ends_with_the_connection(version: str) -> None:
    assert framed(length(b"5 "), version=version) == (5, False, False)
    assert framed(length(b"9" * 18), version=version) == (int("9" * 18), False, False)
    assert framed(version=version) == (None, True, False)


def test_rfc_9112_6_2_content_in_chunks_has_no_length() -> None:
    assert framed(CHUNKED) == (None, False, False)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304)])
@pytest.mark.parametrize("field", [length(b"5"), CHUNKED])
def test_rfc_9110_8_6_head_and_304_tell_of_content_that_does_not_come(
    method: str, status: int, field: Field
) -> None:
    assert framed(field, method=method, status=status) == (None, False, False)


@pytest.mark.parametrize("status", [101, 204])
def test_rfc_9110_8_6_answer_without_framing_that_has_some_is_doubtful(status: int) -> None:
    assert framed(status=status) == (None, False, False)
    assert framed(length(b"0"), status=status) == (None, False, False)
    assert framed(length(b"5"), status=status) == (None, False, True)
    assert framed(CHUNKED, status=status) == (None, False, True)


@pytest.mark.parametrize(
    ("fields", "status", "version"),
    [
        ([CHUNKED], 200, "1.0"),
        ([CHUNKED, CHUNKED], 200, "1.1"),
        ([(b"Transfer-Encoding", b"gzip, chunked")], 200, "1.1"),
        ([(b"Transfer-Encoding", b"identity")], 200, "1.1"),
        ([length(b"18446744073709551615")], 200, "1.1"),
        ([length(b"0" * 5000)], 304, "1.1"),
        ([], 200, "2.0"),
        ([], 200, "0.9"),
        ([], 99, "1.1"),
    ],
)
def test_rfc_9112_6_3_what_others_could_read_differently_is_no_answer(
    fields: list[Field], status: int, version: str
) -> None:
    with pytest.raises(BadGateway):
        framed(*fields, status=status, version=version)


def test_rfc_9110_8_6_answers_without_framing_lose_their_length() -> None:
    fields = [(b"A", b"b"), (b"Content-Length", b"0"), (b"C", b"d")]
    names = lowered(fields)
    assert without_framing(fields, names) == [(b"A", b"b"), (b"C", b"d")]
    assert names == [b"a", b"c"]
