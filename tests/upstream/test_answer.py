"""Answers read from bytes, without a socket. With one: test_origin.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadGateway, ContentCut
from gateway.upstream.answer import AnswerReader, StaleConnection

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x="y"\r\nhel\r\n2\r\nlo\r\n0\r\n'
    b"T: 1\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"


def reading(*pieces: bytes, method: str = "GET", upgrade: bool = False) -> AnswerReader:
    reader = AnswerReader()
    reader.expect(method, upgrade=upgrade)
    for piece in pieces:
        reader.feed(piece)
    return reader


def content(reader: AnswerReader) -> bytes:
    """All that can be taken; raises what ``take`` raises."""
    taken = b""
    while chunk := reader.take():
        taken += chunk
    return taken


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


@given(
    cuts=st.lists(st.integers(0, 500), max_size=20),
    answers=st.lists(st.sampled_from([SIZED, CHUNKED]), min_size=1, max_size=3),
)
def test_answers_read_the_same_however_their_bytes_are_split(
    cuts: list[int], answers: list[bytes]
) -> None:
    reader = AnswerReader()
    for answer in answers:
        reader.expect("GET")
        for piece in pieces_of(b"HTTP/1.1 102 Wait\r\nA: b\r\n\r\n" + answer, cuts):
            reader.feed(piece)
        assert reader.head is not None
        assert (reader.head.status, reader.head.reason) == (200, b"OK")
        assert len(reader.head.fields) == 1
        assert content(reader) == b"hello"
        assert reader.is_complete
        assert reader.is_reusable
        assert reader.buffered == 0


@given(answer=st.sampled_from([SIZED, CHUNKED, UNTIL_CLOSE]), cut=st.integers(0, 80))
def test_an_answer_that_ends_early_is_never_complete(answer: bytes, cut: int) -> None:
    end = answer.index(b"\r\n\r\n") + 4
    stop = min(cut, len(answer) - 1)
    reader = reading(answer[:stop])
    reader.feed_eof()
    reader.lost()
    if stop < end:
        assert isinstance(reader.failure, BadGateway)
    elif answer is UNTIL_CLOSE:
        assert content(reader) == answer[end:stop]
        assert reader.is_complete
    else:
        with pytest.raises(ContentCut):
            content(reader)
    assert not reader.is_reusable


@pytest.mark.parametrize(
    "extra", [SIZED, b"x", b"\r\n\r\nGET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
)
@pytest.mark.parametrize("later", [False, True])
def test_bytes_nobody_asked_for_spoil_the_connection_but_not_the_answer(
    extra: bytes, later: bool
) -> None:
    reader = reading(SIZED, extra) if later else reading(SIZED + extra)
    assert content(reader) == b"hello"
    assert not reader.is_reusable or reader.failure is not None


@pytest.mark.parametrize(
    ("answer", "is_reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=7\r\n\r\n", True),
    ],
)
def test_a_connection_is_kept_only_as_the_upstream_says(answer: bytes, is_reusable: bool) -> None:
    reader = reading(answer)
    assert reader.is_complete
    assert reader.is_reusable is is_reusable
    assert reader.keepalive_hint == (7.0 if b"timeout" in answer else None)


def test_a_kept_connection_closed_before_an_answer_was_stale() -> None:
    reader = reading(SIZED)
    content(reader)
    reader.expect("GET")
    reader.lost()
    assert isinstance(reader.failure, StaleConnection)


def test_after_a_granted_upgrade_bytes_pass_as_they_are() -> None:
    switching = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    reader = reading(switching + b"\x81\x01", b"a", upgrade=True)
    assert content(reader) == b"\x81\x01a"
    assert not reader.is_complete
    reader.feed_eof()
    assert reader.take() == b""
    assert not reader.is_reusable


def test_an_upgrade_nobody_asked_for_is_no_answer() -> None:
    switching = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    reader = reading(switching)
    assert reader.head is None
    assert isinstance(reader.failure, BadGateway)


@pytest.mark.parametrize("upgrade", [False, True])
@pytest.mark.parametrize("fields", [b"", b"Upgrade: x\r\n", b"Connection: upgrade\r\n"])
def test_a_101_that_names_no_protocol_is_no_answer(fields: bytes, upgrade: bool) -> None:
    """RFC 9110, 7.8: whoever switches says so in Upgrade and Connection."""
    reader = reading(b"HTTP/1.1 101 S\r\n" + fields + b"\r\n", upgrade=upgrade)
    assert reader.head is None
    assert isinstance(reader.failure, BadGateway)


def test_endless_interim_answers_are_no_answer() -> None:
    reader = reading(*[b"HTTP/1.1 100 Continue\r\nA: " + b"x" * 1000 + b"\r\n\r\n"] * 70)
    assert isinstance(reader.failure, BadGateway)


@given(data=st.binary(max_size=200), eof=st.booleans())
def test_no_bytes_make_the_reader_fail(data: bytes, eof: bool) -> None:
    reader = reading(b"HTTP/1.1 200 OK\r\n" + data)
    if eof:
        reader.feed_eof()
    reader.lost()
    assert reader.is_complete or reader.failure is not None
    assert not reader.is_reusable


def test_content_that_nobody_took_is_none_of_the_next_answer() -> None:
    reader = reading(SIZED)
    reader.expect("GET")
    assert reader.take() is None
    assert reader.buffered == 0
