"""How much is parsed at once, and when framing is too much of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.portions import (
    FRAMING_BYTES,
    FRAMING_SHARE,
    LINES,
    PIECE_LINES,
    Overhead,
    framing_lines,
    next_piece,
)

CHUNK = b"1\r\na\r\n"


def pieces(data: bytes) -> list[bytes]:
    found, start = [], 0
    while start < len(data):
        end, lines = next_piece(data, start)
        found.append(data[start:end])
        # What has no end counts, too.
        assert lines - found[-1].count(b"\r\n") in {0, 1}
        start = end
    return found


@given(st.lists(st.sampled_from([b"\n", b"\r", b"a" * 100, b"\r\n", CHUNK * 300])).map(b"".join))
def test_pieces_have_so_many_lines_at_most_and_are_all_there_is(data: bytes) -> None:
    found = pieces(data)
    assert b"".join(found) == data
    assert all(piece.count(b"\r\n") <= LINES for piece in found)


@given(st.lists(st.sampled_from([b"GET / HTTP/1.1\r\n", b"A: b\r\n", b"\r\n"])).map(b"".join))
def test_each_head_ends_a_piece(data: bytes) -> None:
    assert all(b"\n\r\n" not in piece[:-1] for piece in pieces(data))


def test_what_has_few_lines_is_one_piece_however_long_it_is() -> None:
    data = b"100000\r\n" + b"a" * 0x100000
    assert pieces(data) == [data]


def test_content_of_a_known_length_is_one_piece_and_what_follows_is_none_of_it() -> None:
    data = b"\r\n" * 5_000 + CHUNK * 10_000
    assert next_piece(data, 0, 10_000) == (10_000, 0)
    assert next_piece(data, 0, 10**9) == (len(data), 0)
    assert next_piece(data, 10_000) == (10_000 + LINES // 2 * len(CHUNK), LINES)


def test_lines_of_content_are_none_of_the_framing() -> None:
    assert framing_lines(128, 32_768, 32_768) == PIECE_LINES
    assert framing_lines(128, 32_768, 32_768 - len(b"8000\r\n\r\n")) < 8 + PIECE_LINES
    assert framing_lines(128, 64 * len(CHUNK), 64) == 128


def test_head_without_end_is_too_much() -> None:
    overhead = Overhead(1000)
    assert not overhead.add(1000, 0, is_parsed=True)
    assert overhead.add(1, 0, is_parsed=True)
    overhead.begin()
    assert not overhead.add(1000, 0, is_parsed=True)


def test_what_was_not_parsed_yet_may_be_anything() -> None:
    overhead = Overhead(1000)
    assert not overhead.add(10**6, 1, is_parsed=False)
    assert not overhead.add(0, 10**6, is_parsed=True)


@pytest.mark.parametrize(
    "chunk", [CHUNK, b"0001;a=bcde\r\na\r\n", b"1;" + b"e" * 10 + b"\r\na\r\n"]
)
def test_small_chunks_are_never_too_much(chunk: bytes) -> None:
    overhead = Overhead(1000)
    for count in range(1, 100_000):
        assert not overhead.add(len(chunk), count, is_parsed=True)


def test_long_chunk_extensions_are_too_much_where_there_is_little_content() -> None:
    overhead = Overhead(100_000)
    assert not overhead.add(15_000, 1, is_parsed=True)
    assert overhead.add(15_000, 2, is_parsed=True)
    overhead.begin()
    for count in range(1, 1000):
        assert not overhead.add(16_000, 1000 * count, is_parsed=True)


def test_content_earns_its_framing_and_no_more() -> None:
    overhead = Overhead(10**9)
    most = FRAMING_BYTES + FRAMING_SHARE * 1000
    assert not overhead.add(1000 + most, 1000, is_parsed=True)
    assert overhead.add(1, 1000, is_parsed=True)
