"""What a request's ``traceparent`` says; the sections are those of W3C Trace Context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.tracing.trace_context import RANDOM, SAMPLED, TraceParent, trace_parent

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE_IDS = st.integers(1, 2**128 - 1).map("{:032x}".format)
PARENT_IDS = st.integers(1, 2**64 - 1).map("{:016x}".format)
LINE = f"00-{TRACE}-{PARENT}-01".encode()


def test_w3c_3_2_3_example_is_read() -> None:
    parent = trace_parent([LINE])
    assert parent == TraceParent(TRACE, PARENT, SAMPLED)
    assert parent.is_sampled
    assert parent.written() == LINE


@given(trace_id=TRACE_IDS, parent_id=PARENT_IDS, flags=st.integers(0, SAMPLED | RANDOM))
def test_w3c_3_2_2_what_is_written_is_read(trace_id: str, parent_id: str, flags: int) -> None:
    parent = TraceParent(trace_id, parent_id, flags)
    assert trace_parent([parent.written()]) == parent


@given(line=st.binary(max_size=80))
def test_w3c_3_2_2_whatever_is_read_can_be_written(line: bytes) -> None:
    parent = trace_parent([line])
    assert parent is None or trace_parent([parent.written()]) == parent


@given(place=st.integers(0, len(LINE) - 1), octet=st.integers(0, 255))
def test_w3c_3_2_2_one_octet_outside_the_grammar_makes_it_invalid(place: int, octet: int) -> None:
    line = bytearray(LINE)
    line[place] = octet
    if octet not in b"0123456789abcdef-":
        assert trace_parent([bytes(line)]) is None


@pytest.mark.parametrize("upper", [TRACE.upper(), PARENT.upper()])
def test_w3c_3_2_2_2_digits_are_in_lower_case(upper: str) -> None:
    assert trace_parent([LINE.decode().replace(upper.lower(), upper).encode()]) is None


def test_w3c_3_2_2_1_version_ff_is_invalid() -> None:
    assert trace_parent([b"ff" + LINE[2:]]) is None


@pytest.mark.parametrize("rest", [b"-", b"-00", b"00", b" ", b"\n"])
def test_w3c_3_2_2_2_version_00_has_nothing_after_its_flags(rest: bytes) -> None:
    assert trace_parent([LINE + rest]) is None


def test_w3c_3_2_2_3_trace_of_zeros_is_none() -> None:
    assert trace_parent([f"00-{'0' * 32}-{PARENT}-01".encode()]) is None


def test_w3c_3_2_2_4_parent_of_zeros_is_none() -> None:
    assert trace_parent([f"00-{TRACE}-{'0' * 16}-01".encode()]) is None


@given(flags=st.integers(0, 255))
def test_w3c_3_2_2_5_3_flags_without_a_meaning_are_left_out(flags: int) -> None:
    parent = trace_parent([f"00-{TRACE}-{PARENT}-{flags:02x}".encode()])
    assert parent is not None
    assert parent.flags == flags & (SAMPLED | RANDOM)
    assert parent.is_sampled == bool(flags & 1)


@given(version=st.integers(1, 254), rest=st.just(b"") | st.binary().map(b"-".__add__))
def test_w3c_3_2_4_higher_version_is_read_by_the_fields_it_shares(
    version: int, rest: bytes
) -> None:
    line = f"{version:02x}".encode() + LINE[2:] + rest
    parent = trace_parent([line])
    assert parent == TraceParent(TRACE, PARENT, SAMPLED)
    assert parent.written() == LINE


@given(version=st.integers(1, 254), flags=st.integers(0, 255))
def test_w3c_3_2_4_of_a_higher_versions_flags_only_sampled_is_known(
    version: int, flags: int
) -> None:
    parent = trace_parent([f"{version:02x}-{TRACE}-{PARENT}-{flags:02x}".encode()])
    assert parent == TraceParent(TRACE, PARENT, flags & SAMPLED)


@given(version=st.integers(1, 254), rest=st.binary(min_size=1))
def test_w3c_3_2_4_higher_version_has_a_dash_after_its_flags(version: int, rest: bytes) -> None:
    if not rest.startswith(b"-"):
        assert trace_parent([f"{version:02x}".encode() + LINE[2:] + rest]) is None


@given(length=st.integers(0, len(LINE) - 1), version=st.integers(0, 254))
def test_w3c_3_2_4_shorter_line_is_not_read(length: int, version: int) -> None:
    assert trace_parent([(f"{version:02x}".encode() + LINE[2:])[:length]]) is None


@pytest.mark.parametrize("lines", [[], [LINE, LINE], [LINE, b""]])
def test_w3c_3_2_none_or_several_lines_say_nothing(lines: list[bytes]) -> None:
    assert trace_parent(lines) is None
