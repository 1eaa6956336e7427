"""gzip undone: whole, cut, in several members, and without end."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Field
from gateway.protocols.http.content_coding import InflatesTooFar, Undecodable, codings, inflated

GZIP: list[Field] = [(b"Content-Encoding", b"gzip")]


@given(members=st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_rfc_1952_2_2_content_is_that_of_all_members(members: list[bytes]) -> None:
    content = b"".join(gzip.compress(member, mtime=0) for member in members)
    whole = b"".join(members)
    assert inflated(content, GZIP, len(whole)) == whole
    assert inflated(content + b"\0\0", [(b"content-encoding", b"X-GZip")], 10_000) == whole
    with pytest.raises(Undecodable):
        inflated(content[:-1], GZIP, 10_000)


@pytest.mark.parametrize("fields", [[], [(b"Content-Encoding", b"identity, Identity")]])
def test_plain_content_stays_however_large(fields: list[Field]) -> None:
    assert inflated(b"plain", fields, 1) == b"plain"


@pytest.mark.parametrize(
    "fields",
    [
        [(b"Content-Encoding", b"br")],
        [(b"Content-Encoding", b"deflate")],
        [(b"Content-Encoding", b"gzip, gzip")],
        [*GZIP, *GZIP],
        [*GZIP, (b"content-encoding", b"br")],
    ],
)
def test_rfc_9110_8_4_other_codings_are_not_guessed_at(fields: list[Field]) -> None:
    with pytest.raises(Undecodable):
        inflated(gzip.compress(gzip.compress(b"x"), mtime=0), fields, 10_000)


@pytest.mark.parametrize(
    "content", [b"", b"plain", zlib.compress(b"x"), gzip.compress(b"x", mtime=0) * 17]
)
def test_what_is_not_gzip_or_too_many_of_them_is_undecodable(content: bytes) -> None:
    with pytest.raises(Undecodable):
        inflated(content, GZIP, 10_000)


def test_bomb_takes_no_more_memory_than_the_bound() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000, mtime=0)
    tracemalloc.start()
    try:
        for content in (bomb, gzip.compress(b"x", mtime=0) + bomb):
            with pytest.raises(InflatesTooFar):
                inflated(content, GZIP, 100_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_rfc_9110_8_4_codings_are_read_over_all_lines() -> None:
    fields = [(b"Content-Encoding", b"GZIP, identity"), (b"content-encoding", b"br")]
    assert codings(fields) == [b"gzip", b"br"]
