from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ops.log.visible import (
    AGENT_CHARACTERS,
    WORD_CHARACTERS,
    shown,
    shown_address,
    shown_agent,
    shown_name,
    shown_word,
)

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJvcmciOiJhY21lIn0.c2lnbmF0dXJl"


@given(text=st.text(max_size=300))
def test_all_that_is_shown_is_visible_ascii_of_bounded_length(text: str) -> None:
    for word in (shown(text), shown_name(text), shown_address(text), shown_word(text)):
        assert len(word) <= WORD_CHARACTERS
        assert word.isascii()
        assert word.isprintable()
        assert not set(word) & set(' "\\')


@pytest.mark.parametrize("show", [shown, shown_name, shown_address, shown_word])
def test_tokens_are_not_shown(show: object) -> None:
    assert callable(show)
    assert "c2lnbmF0dXJl" not in show(TOKEN)


def test_addresses_and_names_stay_as_they_are() -> None:
    assert shown_address("2001:db8::1") == "2001:db8::1"
    assert shown_name("jane@acme.example") == "jane@acme.example"
    for word in ("r1GET", "a-b", ""):
        assert shown_word(word) == word


@given(said=st.binary(max_size=2000))
def test_all_that_is_shown_of_a_program_is_visible_ascii_of_bounded_length(said: bytes) -> None:
    agent = shown_agent(said)
    assert len(agent) <= AGENT_CHARACTERS
    assert agent.isascii()
    assert agent.isprintable()
    assert not set(agent) & set(' "\\')


def test_programs_are_shown_rightly_however_many_there_are() -> None:
    for number in range(3000):
        assert shown_agent(b"tool/%d" % number) == f"tool/{number}"
    assert shown_agent(b"tool/0") == "tool/0"


def test_programs_are_shown_as_they_name_themselves() -> None:
    assert shown_agent(b"curl/8.14.1") == "curl/8.14.1"
    assert shown_agent(b"Mozilla/5.0 (X11)") == "Mozilla/5.0%20(X11)"
    assert shown_agent(b"caf\xe9") == "caf%E9"


def test_long_name_of_a_program_is_not_read_to_its_end() -> None:
    """Who sends kilobytes of it would keep everybody waiting for each of its requests."""
    assert shown_agent(1024 * b"a" + b"%25252541") == AGENT_CHARACTERS * "a"
    assert shown_agent(1000 * b"a" + b"%25252541") == "***"
