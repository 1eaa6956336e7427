"""Elements of arrays, compared with what Python's own parser finds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.results.elements import MAX_STEPS, TooManyParts, element

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(['"', "\\", '\\"', "]"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(_JSON, max_size=6), st.integers(0, 8), st.booleans(), st.sampled_from([None, 1]))
def test_every_element_is_found_where_it_is(
    values: list[Any], index: int, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(values, ensure_ascii=ascii_only, indent=indent).encode(
        "utf-8", "surrogatepass"
    )
    found = element(b" \n" + text + b"\t", index)
    if index < len(values):
        assert found is not None
        assert json.loads(found.decode("utf-8", "surrogatepass")) == values[index]
        assert found == found.strip()
    else:
        assert found is None


@given(_JSON.filter(lambda value: not isinstance(value, list)))
def test_what_is_no_array_has_no_elements(value: Any) -> None:
    assert element(json.dumps(value).encode(), 0) is None


@pytest.mark.parametrize("array", [b"[]", b" [ \n ] "])
def test_empty_array_has_no_elements(array: bytes) -> None:
    assert element(array, 0) is None


def test_long_string_is_passed_however_much_of_it_is_escaped() -> None:
    array = b'["%b",1]' % (rb"\"\\a" * 100_000)
    assert element(array, 1) == b"1"
    assert element(array, 2) is None


def test_search_ends_after_so_many_parts() -> None:
    array = b"[%b]" % b",".join([b"1"] * (MAX_STEPS + 2))
    assert element(array, MAX_STEPS - 1) == b"1"
    with pytest.raises(TooManyParts):
        element(array, MAX_STEPS)
