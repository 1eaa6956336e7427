"""Content between its arrival and whoever takes it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.messages.received_content import PIECE_BYTES, ReceivedContent


@given(pieces=st.lists(st.binary(min_size=1)), taken=st.integers(0, 5))
def test_content_is_taken_in_the_order_in_which_it_came(pieces: list[bytes], taken: int) -> None:
    content = ReceivedContent()
    for piece in pieces:
        content.add(piece)
    assert content.size == sum(map(len, pieces)) + PIECE_BYTES * len(pieces)
    one_by_one = [content.take() for _ in range(min(taken, len(pieces)))]
    assert one_by_one == pieces[:taken]
    assert content.take_all() == b"".join(pieces[taken:])
    assert content.size == 0
    assert content.take_all() == b""


def test_content_that_is_dropped_is_forgotten() -> None:
    content = ReceivedContent()
    content.add(b"left")
    content.drop()
    assert content.size == 0
    assert content.take_all() == b""
