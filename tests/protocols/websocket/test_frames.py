"""RFC 6455, 5.2: where frames begin and end, however the bytes of them come."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.websocket.frames import Frames, close_frame, masked_close_frame

SIZES = (0, 1, 125, 126, 127, 300, 65535, 65536, 70_000)


def frame(opcode: int, content: bytes, *, mask: bytes = b"", is_last: bool = True) -> bytes:
    """One as either end sends it; ``mask``: as a client does."""
    masked = 0x80 if mask else 0
    size = len(content)
    if size < 126:
        length = bytes((masked | size,))
    elif size < 65536:
        length = bytes((masked | 126,)) + size.to_bytes(2)
    else:
        length = bytes((masked | 127,)) + size.to_bytes(8)
    if mask:
        content = bytes(byte ^ mask[at % 4] for at, byte in enumerate(content))
    return bytes((opcode | (0x80 if is_last else 0),)) + length + mask + content


@st.composite
def streams(draw: st.DrawFn) -> tuple[bool, list[bytes]]:
    """Frames of one direction, none of which closes: whether they are masked, and they."""
    are_masked = draw(st.booleans())
    mask = draw(st.binary(min_size=4, max_size=4)) if are_masked else b""
    found = []
    for _ in range(draw(st.integers(0, 6))):
        is_control = draw(st.booleans())
        opcode = draw(st.sampled_from((0x9, 0xA) if is_control else (0, 1, 2)))
        size = draw(st.integers(0, 125)) if is_control else draw(st.sampled_from(SIZES[:6]))
        is_last = is_control or draw(st.booleans())
        found.append(frame(opcode, bytes(size), mask=mask, is_last=is_last))
    return are_masked, found


def pieces(data: bytes, draw: st.DataObject) -> list[bytes]:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(streams(), st.data())
def test_rfc_6455_5_2_ends_are_found_however_the_bytes_are_cut(
    stream: tuple[bool, list[bytes]], draw: st.DataObject
) -> None:
    are_masked, made = stream
    frames = Frames(are_masked=are_masked)
    found, passed = [0], 0
    for piece in pieces(b"".join(made), draw):
        at = 0
        while at < len(piece):
            end = frames.to_end(piece, at)
            passed, at = passed + end - at, end
            if frames.is_between:
                found.append(passed)
    ends = [sum(map(len, made[:count])) for count in range(len(made) + 1)]
    assert sorted(set(found)) == ends
    assert frames.is_between
    assert not frames.have_closed


@given(streams(), st.data())
def test_frames_that_pass_are_followed_however_the_bytes_are_cut(
    stream: tuple[bool, list[bytes]], draw: st.DataObject
) -> None:
    """As they are read one by one."""
    are_masked, made = stream
    passing, read = Frames(are_masked=are_masked), Frames(are_masked=are_masked)
    for piece in pieces(b"".join(made), draw):
        passing.follow(piece)
        at = 0
        while at < len(piece):
            at = read.to_end(piece, at)
        assert passing.is_between is read.is_between
        assert passing.are_frames
    assert passing.is_between


@given(streams(), st.data())
def test_all_before_a_close_passes_and_nothing_of_it(
    stream: tuple[bool, list[bytes]], draw: st.DataObject
) -> None:
    are_masked, made = stream
    before = b"".join(made)
    mask = b"mask" if are_masked else b""
    data = before + frame(0x8, b"\x03\xe8bye", mask=mask)
    frames = Frames(are_masked=are_masked)
    passed = b""
    for piece in pieces(data, draw):
        end = frames.to_close(piece)
        passed += piece[:end]
        if end < len(piece):
            break
    assert passed == before
    assert frames.is_between
    assert not frames.have_closed


@given(st.lists(st.binary(max_size=40), max_size=5), st.booleans())
def test_whatever_comes_is_followed_without_an_error(data: list[bytes], are_masked: bool) -> None:
    frames = Frames(are_masked=are_masked)
    for piece in data:
        frames.follow(piece)
        assert frames.to_close(b"") == 0
    if not frames.are_frames:
        assert not frames.is_between


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mask", [b"", b"mask"])
def test_rfc_6455_5_2_each_form_of_the_length_is_read(size: int, mask: bytes) -> None:
    frames = Frames(are_masked=bool(mask))
    one = frame(2, bytes(size), mask=mask)
    frames.follow(one[:-1])
    assert not frames.is_between
    frames.follow(one[-1:] + frame(1, b"", mask=mask))
    assert frames.is_between


@pytest.mark.parametrize("code", [1000, 1001])
def test_rfc_6455_5_5_1_frames_that_close_are_control_frames_with_the_code(code: int) -> None:
    assert close_frame(code) == frame(0x8, code.to_bytes(2))
    made = masked_close_frame(code, os.urandom)
    assert made == frame(0x8, code.to_bytes(2), mask=made[2:6])
    for frames, data in (
        (Frames(are_masked=False), close_frame(code)),
        (Frames(are_masked=True), made),
    ):
        assert frames.to_close(data) == 0
        frames.follow(data)
        assert frames.have_closed
        assert frames.is_between


@pytest.mark.parametrize(
    "data",
    [
        b"\x83\x00",
        b"\x8b\x00",
        frame(1, b"x", mask=b"mask"),
        b"\x09\x00",
        b"\x89\x7e\x00\x7e",
        b"HTTP/1.1",
    ],
    ids=["opcode", "control opcode", "masked", "fragmented ping", "long ping", "text"],
)
def test_rfc_6455_5_what_is_no_frame_of_a_server_is_noticed(data: bytes) -> None:
    frames = Frames(are_masked=False)
    frames.follow(data[:1])
    frames.follow(data[1:])
    assert not frames.are_frames
    assert not frames.is_between
    assert frames.to_end(data, 1) == frames.to_close(data) == len(data)


def test_rfc_6455_5_1_frame_of_a_client_without_a_mask_is_none() -> None:
    frames = Frames(are_masked=True)
    frames.follow(frame(1, b"x"))
    assert not frames.are_frames


def test_rfc_6455_5_2_reserved_bits_are_for_extensions() -> None:
    frames = Frames(are_masked=False)
    frames.follow(b"\xc1\x01x")
    assert frames.is_between
