"""Spaces before the colons of a head. Split and parsed: test_response_reader.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.messages.field_lines import (
    SpacedHead,
    has_spaced_name,
    head_end,
    without_spaces,
)

LINE = b"HTTP/1.1 200 a : b\r\n"


@pytest.mark.parametrize(
    ("received", "is_spaced"),
    [
        (LINE + b"A : b\r\n\r\n", True),
        (LINE + b"A\t \t: b", True),
        (LINE + b"A ", True),
        (LINE + b"A: b : c\r\n\r\n", False),
        (LINE + b"A b: c\r\n\r\n", False),
        (LINE + b" : c\r\n\r\n", False),
        (LINE + b"A: b\r\n C : d\r\n\r\n", False),
        (b"no : head", False),
    ],
)
def test_rfc_9112_5_1_space_before_a_colon_is_found_in_field_lines_alone(
    received: bytes, is_spaced: bool
) -> None:
    assert has_spaced_name(received) is is_spaced


def test_rfc_9110_15_2_head_ends_behind_its_interim_answers() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n"
    head = LINE + b"A: b\r\n\r\n"
    assert head_end(interim + head + b"\r\n\r\n") == len(interim + head)
    assert head_end(interim) == -1
    assert head_end(interim + head[:-1]) == -1
    switching = b"HTTP/1.1 101 Go\r\n\r\n"
    assert head_end(switching + b"\r\n\r\n") == len(switching)


@given(values=st.lists(st.binary().filter(lambda value: b"\n" not in value)))
def test_rfc_9112_5_1_only_spaces_before_a_colon_are_removed(values: list[bytes]) -> None:
    spaced = LINE + b"".join(b"X-A \t: " + value + b"\r\n" for value in values) + b"\r\n"
    plain = LINE + b"".join(b"X-A: " + value + b"\r\n" for value in values) + b"\r\n"
    assert without_spaces(spaced) == plain
    assert without_spaces(plain) == plain


@given(head=st.binary(max_size=4), behind=st.binary(max_size=8), data=st.data())
def test_rfc_9112_5_1_head_with_spaces_is_mended_when_it_is_all_there(
    head: bytes, behind: bytes, data: st.DataObject
) -> None:
    first = b"HTTP/1.1 200 OK\r\nA : b" + head.replace(b"\r", b"").replace(b"\n", b"")
    received = first + b"\r\n\r\n" + behind
    at = data.draw(st.integers(0, len(received)))
    spaced = SpacedHead()
    begun, rest = spaced.mended(received[:at]), received[at:]
    if at < len(first) + 4:
        assert begun is None
        begun, rest = spaced.mended(rest), b""
    assert begun is not None
    assert begun + rest == received.replace(b"A :", b"A:", 1)
