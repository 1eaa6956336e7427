from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Config
from gateway.config.changes import (
    RESTART,
    RESTART_TABLES,
    changes,
    differences,
    needs_restart,
    value_of,
)
from tests.support.settings import KNOWN, chosen, other


@dataclass(frozen=True)
class Chosen:
    """Settings with values other than their defaults."""

    values: dict[str, object]

    @property
    def config(self) -> Config:
        return chosen(self.values)


some = st.sets(st.sampled_from(sorted(KNOWN))).map(
    lambda keys: Chosen({key: other(key) for key in sorted(keys)})
)


@given(some, some)
def test_each_setting_that_is_another_one_is_named_once_and_no_other_is(
    one: Chosen, another: Chosen
) -> None:
    made = changes(one.config, another.config)
    different = {*one.values} ^ {*another.values}
    assert {*made.changed, *made.waiting} == different
    assert len(made.changed) + len(made.waiting) == len(different)
    order = [*KNOWN].index
    assert sorted(made.changed, key=order) == [*made.changed]


@given(some, some)
def test_what_is_gone_on_with_has_the_new_values_but_for_those_that_wait(
    one: Chosen, another: Chosen
) -> None:
    running, wanted = one.config, another.config
    made = changes(running, wanted)
    for key in KNOWN:
        source = running if key in made.waiting else wanted
        assert value_of(made.config, key) == value_of(source, key)
    assert differences(running, made.config) == [*made.changed]
    again = changes(made.config, wanted)
    assert again.changed == ()
    assert {*again.waiting} <= {*made.waiting}


@given(some)
def test_same_settings_change_nothing(chosen: Chosen) -> None:
    made = changes(chosen.config, chosen.config)
    assert (made.changed, made.waiting) == ((), ())
    assert made.config == chosen.config


@given(st.sets(st.sampled_from(sorted(KNOWN))))
def test_setting_that_needs_a_restart_is_never_changed(keys: set[str]) -> None:
    made = changes(Config(), Chosen({key: other(key) for key in sorted(keys)}).config)
    assert not [key for key in made.changed if needs_restart(key)]


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({}, {"listen.tls_cert_file": "c", "listen.tls_key_file": "k"}, ()),
        ({"listen.tls_cert_file": "c", "listen.tls_key_file": "k"}, {}, ()),
        (
            {"listen.tls_cert_file": "c", "listen.tls_key_file": "k"},
            {"listen.tls_cert_file": "d", "listen.tls_key_file": "l"},
            ("listen.tls_cert_file", "listen.tls_key_file"),
        ),
        (
            {"identity.mode": "verify", "identity.secret": "one"},
            {"identity.mode": "verify", "identity.secret_file": "two"},
            ("identity.secret", "identity.secret_file"),
        ),
        (
            {"identity.mode": "verify", "identity.secret": "one"},
            {"identity.mode": "verify", "identity.jwks_url": "http://keys"},
            (),
        ),
        (
            {"identity.mode": "verify", "identity.jwks_url": "http://keys"},
            {"identity.mode": "verify", "identity.public_key_file": "two"},
            (),
        ),
        ({}, {"identity.mode": "verify", "identity.secret": "one"}, ()),
    ],
)
def test_settings_that_stand_for_each_other_change_together_or_not_at_all(
    before: dict[str, object], after: dict[str, object], changed: tuple[str, ...]
) -> None:
    made = changes(Chosen(before).config, Chosen(after).config)
    assert made.changed == changed
    assert bool(made.waiting) is not bool(changed)


def test_settings_that_need_a_restart_are_documented() -> None:
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    [line] = re.findall(r"(?m)^- \*\*What needs a restart\*\*.*$", text)
    said = {*re.findall(r"`(\w+\.\w+)`", line)} | {*re.findall(r"`\[(\w+)\]`", line)}
    assert said == RESTART | RESTART_TABLES
