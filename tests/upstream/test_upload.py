"""What of a client's content is gathered, and how it is framed. On sockets: test_client.py."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RequestTimeout
from gateway.upstream.upload import PLACE_BYTES, Upload
from tests.support.virtual_time import now


class Pieces:
    def __init__(self, *pieces: bytes) -> None:
        self.left = list(pieces)

    async def read(self) -> bytes:
        return self.left.pop(0) if self.left else b""


async def gathered(*pieces: bytes, is_chunked: bool) -> tuple[bytes, bool, list[bytes]]:
    content = Pieces(*pieces)
    upload = Upload(content, now, is_chunked=is_chunked, seconds=1)
    await upload.gather()
    return upload.gathered, upload.is_whole, content.left


@given(pieces=st.lists(st.binary(min_size=1, max_size=50)))
async def test_small_content_is_gathered_whole(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    assert await gathered(*pieces, is_chunked=False) == (content, True, [])
    chunk = b"%x\r\n%b\r\n" % (len(content), content) if content else b""
    assert await gathered(*pieces, is_chunked=True) == (chunk + b"0\r\n\r\n", True, [])


@pytest.mark.parametrize("size", [1000, 30_000, PLACE_BYTES, 200_000])
async def test_no_more_is_gathered_than_a_connection_needs(size: int) -> None:
    pieces = [b"x" * size] * 100
    content, is_whole, left = await gathered(*pieces, is_chunked=False)
    assert not is_whole
    assert PLACE_BYTES <= len(content) < PLACE_BYTES + size
    assert content == b"".join(pieces[len(left) :])
    framed, _, _ = await gathered(*pieces, is_chunked=True)
    assert framed == b"%x\r\n%b\r\n" % (len(content), content)


async def test_content_in_tiny_pieces_takes_little_more_than_its_bytes() -> None:
    class Tiny:
        async def read(self) -> bytes:
            return bytes(2)

    upload = Upload(Tiny(), now, is_chunked=False, seconds=1)
    tracemalloc.start()
    try:
        await upload.gather()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(upload.gathered) == PLACE_BYTES
    assert peak < 4 * PLACE_BYTES


async def test_content_of_exactly_that_size_may_have_more_behind_it() -> None:
    content, is_whole, _ = await gathered(b"x" * PLACE_BYTES, is_chunked=False)
    assert (len(content), is_whole) == (PLACE_BYTES, False)


async def test_client_that_stops_before_it_has_a_connection_fails_by_itself() -> None:
    class Stopping:
        async def read(self) -> bytes:
            raise RequestTimeout

    with pytest.raises(RequestTimeout):
        await Upload(Stopping(), now, is_chunked=False, seconds=1).gather()
