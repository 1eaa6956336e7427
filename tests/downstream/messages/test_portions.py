"""How much is parsed at once, and when framing is too much of it."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.downstream.messages.portions import (
    FRAMING_BYTES,
    FRAMING_SHARE,
    LINES,
    Chunks,
    Overhead,
    lines_end,
    section_end,
)

CHUNK = b"1\r\na\r\n"


def pieces(data: bytes) -> list[bytes]:
    found, start = [], 0
    while start < len(data):
        end, lines = lines_end(data, start, len(data))
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


@given(st.lists(st.sampled_from([b"\n", b"\r", b"a", b"\r\n"])).map(b"".join), st.data())
def test_section_ends_behind_its_empty_line_however_it_is_read(
    data: bytes, draw: st.DataObject
) -> None:
    cut = draw.draw(st.integers(0, len(data)))
    first, second = data[:cut], data[cut:]
    assume(b"\r\n\r\n" not in first)
    end = data.find(b"\r\n\r\n") + 4
    found = section_end(first[-3:], second, 0, len(second))
    assert found == (end - cut if end > 3 else -1)


def test_what_has_few_lines_is_one_piece_however_long_it_is() -> None:
    data = b"100000\r\n" + b"a" * 0x100000
    assert pieces(data) == [data]


CHUNKS = st.lists(
    st.tuples(st.sampled_from([b"", b";a=b", b";" + b"e" * 100]), st.binary(min_size=1)),
    max_size=200,
)


def content_in_chunks(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """Each with its extension."""
    parts = [b"%x%b\r\n%b\r\n" % (len(data), extension, data) for extension, data in chunks]
    return b"".join(parts) + b"0\r\n"


@given(CHUNKS, st.lists(st.integers(1, 40)))
def test_chunks_are_followed_however_they_are_read(
    chunks: list[tuple[bytes, bytes]], sizes: list[int]
) -> None:
    content = content_in_chunks(chunks)
    followed, rest = Chunks(), content
    for size in [*sizes, len(content) + 1]:
        read, rest = rest[:size], rest[size:]
        start = 0
        while start < len(read):
            end, lines = followed.next_piece(read, start)
            assert start < end
            assert lines <= LINES
            start = end
        # Only the line before the last chunk ends them.
        assert followed._are_over is not bool(rest)


def test_lines_in_chunks_are_not_counted() -> None:
    content = content_in_chunks([(b"", b"\r\n" * 10_000)])
    followed = Chunks()
    assert followed.next_piece(content, 0) == (len(content), 3)


def test_small_chunks_are_a_portion_each_64() -> None:
    followed = Chunks()
    assert followed.next_piece(CHUNK * 1000, 0) == (LINES // 2 * len(CHUNK) - len(b"a\r\n"), LINES)


@pytest.mark.parametrize(
    "line", [b"0x10", b"1_0", b"+1", b"-1", b"g", b"", b" 1", b"1 ", b"1" * 17]
)
def test_what_is_no_chunk_is_lines(line: bytes) -> None:
    followed = Chunks()
    end, _ = followed.next_piece(line + b"\r\n" + b"\r\n" * 1000, 0)
    assert followed._are_over
    assert end <= len(line) + 2
    for _ in range(10):
        start = end
        end, lines = followed.next_piece(line + b"\r\n" + b"\r\n" * 1000, start)
        assert (end - start, lines) == (2, 1)


def test_extensions_without_end_are_not_kept() -> None:
    followed = Chunks()
    followed.next_piece(b"3;", 0)
    for _ in range(1000):
        followed.next_piece(b"e" * 1000, 0)
    assert len(followed._line) < 100
    data = b"\r\nabc\r\n0\r\n"
    assert followed.next_piece(data, 0)[0] == len(data)
    assert followed._are_over


def test_head_without_end_is_too_much() -> None:
    overhead = Overhead(1000)
    assert not overhead.add(1000, 0)
    assert overhead.add(1, 0)


@pytest.mark.parametrize(
    "chunk", [CHUNK, b"0001;a=bcde\r\na\r\n", b"1;" + b"e" * 10 + b"\r\na\r\n"]
)
def test_small_chunks_are_never_too_much(chunk: bytes) -> None:
    overhead = Overhead(1000)
    for count in range(1, 100_000):
        assert not overhead.add(len(chunk), count)


def test_long_chunk_extensions_are_too_much_where_there_is_little_content() -> None:
    overhead = Overhead(100_000)
    assert not overhead.add(15_000, 1)
    assert overhead.add(15_000, 2)
    overhead = Overhead(100_000)
    for count in range(1, 1000):
        assert not overhead.add(16_000, 1000 * count)


def test_content_earns_its_framing_and_no_more() -> None:
    overhead = Overhead(10**9)
    most = FRAMING_BYTES + FRAMING_SHARE * 1000
    assert not overhead.add(1000 + most, 1000)
    assert overhead.add(1, 1000)
