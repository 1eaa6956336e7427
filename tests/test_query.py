import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.query import pairs, query_of, values


@pytest.mark.parametrize(
    ("target", "query"),
    [("/a", ""), ("/a?", ""), ("/a?b=c?d", "b=c?d"), ("/a?%3F&&", "%3F&&")],
)
def test_query_is_what_stands_after_the_first_question_mark(target: str, query: str) -> None:
    assert query_of(target) == query


def test_keys_and_values_are_decoded_and_the_raw_parts_kept() -> None:
    found = pairs("a%62=x%20y+z&&c&=d&c=%ff")
    assert [(pair.key, pair.value) for pair in found] == [
        ("ab", "x y z"),
        ("c", ""),
        ("", "d"),
        ("c", "\ufffd"),
    ]
    assert [pair.raw_key for pair in found] == ["a%62", "c", "", "c"]
    assert values("a%62=1&ab=2", "ab") == ["1", "2"]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_raw_parts_joined_are_the_query_without_its_empty_parts(query: str) -> None:
    assert [pair.raw for pair in pairs(query)] == [part for part in query.split("&") if part]
