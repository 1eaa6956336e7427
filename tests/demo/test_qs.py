"""The parser held to what the real one (npm qs 6.9.7, on Node 20) makes of the same texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.qs import is_truthy, parse, text_of

REAL = [
    ("access_token=T", '{"access_token":"T"}'),
    ("access%5Ftoken=%54", '{"access_token":"T"}'),
    ("[access_token]=T", '{"access_token":"T"}'),
    ("%5Baccess_token%5D=T", '{"access_token":"T"}'),
    ("access_token[]=T", '{"access_token":["T"]}'),
    ("%5Baccess_token%5D%5B%5D=T", '{"access_token":["T"]}'),
    ("access_token[5]=T", '{"access_token":["T"]}'),
    ("access_token[20]=T", '{"access_token":["T"]}'),
    ("access_token[21]=T", '{"access_token":{"21":"T"}}'),
    ("access_token[01]=T", '{"access_token":{"01":"T"}}'),
    ("access_token[x]=T", '{"access_token":{"x":"T"}}'),
    ("access_token[][]=T", '{"access_token":["T"]}'),
    ("access_token[][0][1]=T", '{"access_token":[["T"]]}'),
    ("access_token[][][][][][]=T", '{"access_token":[{"[]":"T"}]}'),
    ("access_token[0]junk=T", '{"access_token":["T"]}'),
    ("[access_token]junk=T", '{"access_token":"T"}'),
    ("junk[access_token]=T", '{"junk":{"access_token":"T"}}'),
    ("access_token[=T", '{"access_token[":"T"}'),
    ("access_token]=T", '{"access_token]":"T"}'),
    ("[access_token=T", '{"[access_token":"T"}'),
    ("access_token=a]=T", '{"access_token=a]":"T"}'),
    ("access_token[toString]=T", "{}"),
    ("__proto__[access_token]=T", "{}"),
    ("[__proto__][access_token]=T", "{}"),
    ("access_token", '{"access_token":""}'),
    ("access_token[]", '{"access_token":[""]}'),
    ("access_token=T&access_token=", '{"access_token":["T",""]}'),
    ("access_token=T&[access_token]=", '{"access_token":"T"}'),
    ("access_token=T&access_token=U", '{"access_token":["T","U"]}'),
    ("access_token[]=T&access_token[]=U", '{"access_token":["T","U"]}'),
    ("access_token=T&[access_token]=U", '{"access_token":["T","U"]}'),
    ("access_token=T&access_token[x]=U", '{"access_token":["T",{"x":"U"}]}'),
    ("access_token[x]=U&access_token=T", '{"access_token":{"x":"U","T":true}}'),
    ("access_token[0]=T&access_token[x]=y", '{"access_token":{"0":"T","x":"y"}}'),
    ("access_token[1]=T&access_token[0]=U", '{"access_token":["U","T"]}'),
    ("access_token=T%zz", '{"access_token":"T%zz"}'),
    ("access%5Ftoken%zz=T", '{"access%5Ftoken%zz":"T"}'),
    ("access_token=T%ff", '{"access_token":"T%ff"}'),
    ("access_token=T+", '{"access_token":"T "}'),
    ("access_token=T%2B", '{"access_token":"T+"}'),
    ("access+token=T", '{"access token":"T"}'),
    ("access_token.x=T", '{"access_token.x":"T"}'),
    ("access_token=T;x", '{"access_token":"T;x"}'),
    ("&&access_token=T", '{"access_token":"T"}'),
    ("access_token==T", '{"access_token":"=T"}'),
    ("access%255Ftoken=T", '{"access%5Ftoken":"T"}'),
    ("[]access_token=T", '{"0":"T"}'),
    ("[][access_token]=T", '{"0":{"access_token":"T"}}'),
    ("access_token[%5D=T", '{"access_token":["T"]}'),
    ("access_token=T%5D=U", '{"access_token":"T]=U"}'),
    ("access_token%5B%5D%3D=T", '{"access_token":["T"]}'),
    ("access_token[0]=&access_token[1]=T", '{"access_token":["","T"]}'),
    ("=x&access_token=T", '{"access_token":"T"}'),
    ("ACCESS_TOKEN=T", '{"ACCESS_TOKEN":"T"}'),
    ("[5][toString]T", "{}"),
    ("[][5]=a&b[2][x]=c&b[2][y]=d&b[]=e", '{"5":"a","b":["e",{"x":"c","y":"d"}]}'),
]


@pytest.mark.parametrize(("text", "real"), REAL)
def test_text_is_read_as_qs_reads_it(text: str, real: str) -> None:
    assert parse(text) == json.loads(real)


def test_a_thousand_parts_are_read_and_empty_ones_count() -> None:
    assert "a" in parse("&" * 999 + "a=1")
    assert parse("&" * 1000 + "a=1") == {}


@pytest.mark.parametrize(
    ("value", "text", "is_true"),
    [
        (1, "1", True),
        (1.5, "1.5", True),
        (2.0, "2", True),
        (True, "true", True),
        (False, "false", False),
        (None, "null", False),
        ([], "", True),
        (["a", None, ["b", "c"]], "a,,b,c", True),
        ({"a": 1}, "[object Object]", True),
        ({}, "[object Object]", True),
        (0, "0", False),
        ("", "", False),
        ("x", "x", True),
    ],
)
def test_values_are_written_and_judged_as_in_javascript(
    value: Any, text: str, is_true: bool
) -> None:
    assert text_of(value) == text
    assert is_truthy(value) is is_true


@given(
    st.lists(
        st.sampled_from(
            ["[]", "[0]", "[5]", "[99]", "[x]", "[", "]", "=", "&", "a", "%5B", "%", "toString"]
        ),
        max_size=30,
    ).map("".join)
)
def test_no_text_makes_reading_fail(text: str) -> None:
    assert isinstance(parse(text), dict)
