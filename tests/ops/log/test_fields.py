from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ops.log.fields import FIELDS, template
from tests.support.records import exchange


def test_fields_have_names_of_their_own() -> None:
    names = [field.name for field in FIELDS]
    assert len({*names}) == len(names)


def test_template_has_a_place_for_each_field() -> None:
    assert template("text").split() == [f"{field.name}=%" for field in FIELDS]
    assert template("json").count("%") == len(FIELDS)
    assert '"status":%,' in template("json")
    assert '"outcome":"%",' in template("json")


@given(text=st.text(max_size=300))
def test_every_value_may_stand_in_a_line_as_it_is(text: str) -> None:
    observed = exchange(text, text, request_id=text, address=text, job_id=text)
    for field in FIELDS:
        value = field.value(observed)
        assert value.isascii()
        assert value.isprintable()
        assert not {*value} & {*' "\\'}


@given(seconds=st.floats(0, 1e6))
def test_durations_have_six_decimals(seconds: float) -> None:
    observed = exchange(held_seconds=seconds)
    (held,) = (field for field in FIELDS if field.name == "held_seconds")
    whole, _, rest = held.value(observed).partition(".")
    assert whole.isdigit()
    assert len(rest) == 6
    assert float(held.value(observed)) == pytest.approx(seconds, abs=6e-7)


def test_fields_without_anything_to_say_are_numbers_or_empty() -> None:
    observed = exchange()
    silent = [field for field in FIELDS if not field.value(observed)]
    assert {field.type for field in silent} == {"text"}
