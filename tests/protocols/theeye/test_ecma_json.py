import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.theeye.ecma_json import JsonError, number, parse, stringify


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('{ "message" : "Hello world!" }', '{"message":"Hello world!"}'),
        ("1.0", "1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1e21", "1e+21"),
        ("1e20", "100000000000000000000"),
        ("1.5e300", "1.5e+300"),
        ("123456789.125", "123456789.125"),
        ("0.000001", "0.000001"),
        ("0.00001234", "0.00001234"),
        ("1.5e-7", "1.5e-7"),
        ("-1E-7", "-1e-7"),
        ("5e-324", "5e-324"),
        ("12345678901234567890", "12345678901234567000"),
        ("9007199254740993", "9007199254740992"),
        ("1e999", "null"),
        ("1" * 5000, "null"),
        ('["1e-05",1e-05,"\\"e-5,1e-07"]', '["1e-05",0.00001,"\\"e-5,1e-07"]'),
        ('"\\u00f1\\/\\u007f\\u0007\\b\\ud83d\\ude00"', '"ñ/\x7f\\u0007\\b😀"'),
        ('["\\ud800","\\udfffx"]', '["\\ud800","\\udfffx"]'),
        ('{"b":1,"a":2,"b":3}', '{"b":3,"a":2}'),
        ('{"x":1,"10":2,"9":3,"01":4}', '{"9":3,"10":2,"x":1,"01":4}'),
        ('{"4294967295":1,"4294967294":2}', '{"4294967294":2,"4294967295":1}'),
        ("[true,false,null,{}]", "[true,false,null,{}]"),
    ],
)
def test_json_is_written_as_javascript_writes_it(text: str, written: str) -> None:
    assert stringify(parse(text)) == written


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("second", "Unexpected token s in JSON at position 0"),
        ("", "Unexpected end of JSON input"),
        ('{"a":', "Unexpected end of JSON input"),
        ("{} x", "Unexpected token x in JSON at position 3"),
        ("NaN", "Unexpected token N in JSON"),
        ("[-Infinity]", "Unexpected token - in JSON"),
    ],
)
def test_what_is_no_json_is_refused_in_the_words_of_v8(text: str, details: str) -> None:
    with pytest.raises(JsonError) as refused:
        parse(text)
    assert refused.value.details == details


def test_text_nested_too_deep_is_refused() -> None:
    with pytest.raises(JsonError):
        parse("[" * 200_000 + "]" * 200_000)


def test_value_nested_too_deep_is_not_written() -> None:
    value: list[Any] = []
    for _ in range(200_000):
        value = [value]
    with pytest.raises(JsonError):
        stringify(value)
    while value:
        value = value[0]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_value(value: float) -> None:
    assert float(number(value)) == value


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
@pytest.mark.no_cover
def test_what_was_written_reads_as_the_same(value: object) -> None:
    once = parse(json.dumps(value).replace("Infinity", "1e999"))
    assert parse(stringify(once)) == once
