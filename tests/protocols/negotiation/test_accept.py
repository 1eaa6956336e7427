"""RFC 9110, 12.5.1: which values of Accept name a media type."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.negotiation.accept import is_named

TYPE = b"application/problem+json"
WEIGHTS = st.integers(0, 1000).map(lambda thousandths: b"%.3f" % (thousandths / 1000))
OTHERS = st.sampled_from(
    [b"*/*", b"application/*", b"application/json", b"text/html;level=1;q=0.5", b"", b" "]
)
PARAMETERS = st.lists(
    st.sampled_from([b";charset=utf-8", b' ; a="b,c;q=0"', b';x="\\","', b"; level=1"]), max_size=2
).map(b"".join)


@pytest.mark.parametrize(
    "line",
    [
        b"application/problem+json",
        b"Application/Problem+JSON",
        b"application/json, application/problem+json",
        b"text/html,application/problem+json;q=0.001,*/*;q=0",
        b"application/problem+json ; Q=1.000",
        b"application/problem+json;charset=utf-8;q=0.5",
        b'a/b;x="\\"", application/problem+json',
        b",, application/problem+json ,",
        b"application/problem+json;q=x, application/problem+json",
        b'application/problem+json;x="no end, q=0',
    ],
)
def test_rfc_9110_12_5_1_a_type_is_named_by_itself(line: bytes) -> None:
    assert is_named([line], TYPE)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"*/*",
        b"application/*",
        b"application/*+json",
        b"application/json",
        b"application/problem+json;q=0",
        b"application/problem+json; Q=0.000",
        b"application/problem+json;q=0.",
        b"application/problem+json;q=0, application/problem+json;v=1",
        b"application/problem+json;q=1.5",
        b"application/problem+json;q=0.1234",
        b"application/problem+json;q=",
        b"application/problem+json;q=-1",
        b"application/problem+json2",
        b"x-application/problem+json",
        b"application/problem+json/x",
        b'text/html;a="application/problem+json"',
        b'text/html;a=",application/problem+json,"',
        b'text/html;a="\\",application/problem+json',
        b"application/problem+xml, text/plain",
    ],
)
def test_rfc_9110_12_5_1_nothing_else_names_it(line: bytes) -> None:
    assert not is_named([line], TYPE)


def test_rfc_9110_5_3_several_lines_are_one_list() -> None:
    assert is_named([b"text/html", b"*/*;q=0", TYPE], TYPE)
    assert not is_named([TYPE, TYPE + b";q=0"], TYPE)
    assert not is_named([], TYPE)


@given(st.lists(OTHERS), st.lists(OTHERS), PARAMETERS, WEIGHTS)
def test_rfc_9110_12_4_2_whatever_stands_around_it_the_weight_decides(
    before: list[bytes], behind: list[bytes], parameters: bytes, weight: bytes
) -> None:
    member = b"%b%b;q=%b" % (TYPE, parameters, weight)
    assert is_named([b",".join([*before, member, *behind])], TYPE) == (float(weight) > 0)
    assert is_named([*before, member, *behind], TYPE) == (float(weight) > 0)
    assert not is_named([b",".join([*before, *behind])], TYPE)


@given(st.lists(st.text(alphabet=',;"\\ q=0.1/aJ', max_size=40).map(str.encode)))
def test_any_bytes_are_read(lines: list[bytes]) -> None:
    assert not is_named(lines, TYPE)
    assert is_named([*lines, TYPE], TYPE)


@pytest.mark.parametrize("piece", [b'"\\",', b'"', b";", b'\\"', b",a/b;q=", b'a";"'])
def test_the_longest_value_is_read_in_no_time(piece: bytes) -> None:
    line = TYPE + b"x" + piece * (64 * 1024 // len(piece))
    began = time.process_time()
    assert not is_named([line], TYPE)
    assert time.process_time() - began < 0.5
