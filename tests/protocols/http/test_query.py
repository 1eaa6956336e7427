import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.http.query import Query, split


@pytest.mark.parametrize(
    ("target", "query"),
    [("/a", ""), ("/a?", ""), ("/a?b=c?d", "b=c?d"), ("/a?%3F&&", "%3F&&")],
)
def test_query_is_what_stands_after_the_first_question_mark(target: str, query: str) -> None:
    path, found = split(target)
    assert (path, found.raw) == ("/a", query)


def test_keys_and_values_are_decoded_and_the_raw_parts_kept() -> None:
    found = Query("a%62=x%20y+z&&c&=d&c=%ff").pairs
    assert [(pair.key, pair.value) for pair in found] == [
        ("ab", "x y z"),
        ("c", ""),
        ("", "d"),
        ("c", "%ff"),
    ]
    assert [pair.raw_key for pair in found] == ["a%62", "c", "", "c"]
    assert Query("a%62=1&ab=2").values("ab") == ["1", "2"]


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("a[b=c]=d", "a[b=c]", "d"),
        ("a=b]=c", "a=b]", "c"),
        ("a%5D=b=c", "a]", "b=c"),
        ("a+%62%zz=%41%zz", "a %62%zz", "%41%zz"),
        ("%c3%b1=%ed%a0%80", "ñ", "%ed%a0%80"),
    ],
)
def test_part_is_divided_and_decoded_as_in_the_upstream(part: str, key: str, value: str) -> None:
    """Facts of qs 6.9: a bracket before the equals sign ends the key, wherever the first is; what
    cannot be decoded whole is not decoded."""
    [pair] = Query(part).pairs
    assert (pair.key, pair.value) == (key, value)
    assert pair.raw.startswith(pair.raw_key + "=")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_raw_parts_joined_are_the_query_without_its_empty_parts(query: str) -> None:
    assert [pair.raw for pair in Query(query).pairs] == [part for part in query.split("&") if part]
