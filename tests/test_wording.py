from __future__ import annotations

from typing import Annotated, Literal

import pytest
from msgspec import Meta

from gateway.config import KindOverride, Rule
from gateway.wording import allowed, meant, shown, unfit_tables


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (bool, "true or false"),
        (Annotated[int, Meta(ge=1, le=9)], "a whole number, 1 to 9"),
        (Annotated[float, Meta(gt=0, le=9)], "a number above 0, up to 9"),
        (Annotated[int, Meta(ge=1, le=9)] | None, "a whole number, 1 to 9"),
        (Literal["a", "b"], 'one of "a", "b"'),
        (Literal[202, 408], "one of 202, 408"),
        (tuple[str, ...], "a list of texts"),
        (str, "a text"),
    ],
)
def test_allowed_says_what_a_setting_may_be(kind: object, said: str) -> None:
    assert allowed(kind) == said


@pytest.mark.parametrize(
    ("given", "hint"),
    [("bluee", '; did you mean "blue"?'), ("xyz", ""), (3, ""), (None, "")],
)
def test_allowed_hints_at_the_word_that_was_meant(given: object, hint: str) -> None:
    assert allowed(Literal["blue", "red"], given) == f'one of "blue", "red"{hint}'


def test_meant_names_two_at_most() -> None:
    assert meant("holds", ["hold", "holdss", "holdsx", "far"]).count(" or ") == 1
    assert meant("far", ["near"]) == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "true"),
        (1.5, "1.5"),
        ('a"\x7f', '"a\\"\\u007f"'),
        (["a", 1], '["a", 1]'),
        ({}, "{}"),
        ({"url": "redis://:pass@r"}, '{ url = "redis://***@r" }'),
        (Rule(user="u", create=KindOverride(burst=3)), '{ user = "u", create = { burst = 3 } }'),
        (None, "null"),
    ],
)
def test_shown_writes_values_as_the_file_has_them(value: object, said: str) -> None:
    assert shown(value) == said


def test_unfit_tables_show_no_token_that_stands_where_its_hash_should() -> None:
    (problem,) = unfit_tables([{"token_hash": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"}], Rule)
    assert "eyJ" not in problem
    assert list(unfit_tables([{"token_hash": 3}], Rule)) == [
        f"number 1: token_hash: 3 is not {allowed(Annotated[str, Meta(pattern='x')])}"
    ]


def test_unfit_tables_finds_nothing_wrong_with_sound_ones() -> None:
    rule = {"token_hash": "0" * 32, "create": {"burst": 3}, "holds": 1}
    assert list(unfit_tables([rule, {"user": "u"}], Rule)) == []
