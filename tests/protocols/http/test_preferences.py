"""RFC 7240, of a request's ``Prefer`` lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.http.preferences import (
    MAX_WAIT_SECONDS,
    NO_PREFERENCES,
    Preferences,
    preferences,
)


@pytest.mark.parametrize(
    ("lines", "wait_seconds", "respond_async"),
    [
        ([b"wait=10"], 10, False),
        ([b"respond-async, wait=10"], 10, True),
        ([b"respond-async", b"wait=10"], 10, True),
        ([b"respond-async"], None, True),
        ([b"Respond-Async, WAIT = 7"], 7, True),
        ([b'wait="7"'], 7, False),
        ([b"wait=0"], 0, False),
        ([b"wait=007"], 7, False),
        ([b"wait=99999999999999999999"], MAX_WAIT_SECONDS, False),
        ([b'priority=5, wait=3; note=a;b;c="d,e", return=minimal'], 3, False),
        ([b"wait=3;"], 3, False),
        ([b",, wait=3 ,"], 3, False),
        ([b'foo="wait=9, respond-async"'], None, False),
        ([b'foo="\\", wait=9"'], None, False),
        ([b'respond-async=""'], None, True),
        ([b""], None, False),
        ([], None, False),
    ],
)
def test_rfc_7240_2_preferences_are_one_list_over_all_lines(
    lines: list[bytes], wait_seconds: int | None, respond_async: bool
) -> None:
    assert preferences(lines) == Preferences(wait_seconds, respond_async)


@pytest.mark.parametrize("lines", [[b"wait=1, wait=2"], [b"wait=1", b"WAIT=2"]])
def test_rfc_7240_2_first_of_several_with_one_name_counts(lines: list[bytes]) -> None:
    assert preferences(lines).wait_seconds == 1


def test_rfc_7240_2_what_follows_a_malformed_one_of_the_same_name_does_not_count() -> None:
    assert preferences([b"wait=soon, wait=2"]).wait_seconds is None


@pytest.mark.parametrize(
    "member",
    [
        b"wait",
        b"wait=",
        b"wait=-1",
        b"wait=1.5",
        b"wait=+1",
        b"wait=1s",
        b"wait=1 2",
        b"wait=\xb2",
        b"wait==1",
        b"=1",
        b"respond-async=yes",
        b"handling=odd",
        b'wait="1',
        b'"wait=1"',
        b"wait=1; =2",
        b"a b",
    ],
)
def test_rfc_7240_2_malformed_preference_is_ignored_and_told(member: bytes) -> None:
    found = preferences([member, b"respond-async"])
    assert (found.wait_seconds, found.malformed) == (None, member)
    assert not found.is_strict


def test_quoted_string_without_an_end_takes_the_rest_of_its_line_only() -> None:
    found = preferences([b'respond-async, a="b, wait=3', b"wait=4"])
    assert found == Preferences(4, True, malformed=b'a="b, wait=3')


@pytest.mark.parametrize(
    ("line", "is_strict"),
    [
        (b"handling=strict", True),
        (b"Handling=STRICT", True),
        (b'handling="strict"', True),
        (b"handling=lenient", False),
        (b"handling=lenient, handling=strict", False),
        (b"handling", False),
    ],
)
def test_rfc_7240_4_4_handling_is_strict_or_lenient(line: bytes, is_strict: bool) -> None:
    assert preferences([line]).is_strict is is_strict


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_value_is_read_or_ignored(lines: list[bytes]) -> None:
    found = preferences(lines)
    assert found.wait_seconds is None or 0 <= found.wait_seconds <= MAX_WAIT_SECONDS
    if not any(line.strip(b" \t,") for line in lines):
        assert found == NO_PREFERENCES


_PIECES = st.sampled_from(
    [b"wait", b"respond-async", b"handling", b"strict", b"10", b"=", b",", b";", b'"', b"\\", b" "]
)


@given(st.lists(_PIECES, max_size=30).map(b"".join), st.integers(0, 100))
def test_what_comes_first_is_not_changed_by_what_follows(rest: bytes, seconds: int) -> None:
    found = preferences([b"wait=%d, respond-async, handling=strict" % seconds, rest])
    assert found.wait_seconds == seconds
    assert found.respond_async
    assert found.is_strict


@given(st.lists(_PIECES, max_size=30).map(b"".join))
def test_rfc_7240_2_members_are_the_same_in_one_line_as_in_several(line: bytes) -> None:
    assert preferences([line, b"wait=3"]) == preferences([b"", line, b"", b"wait=3"])


def test_long_line_takes_time_in_proportion() -> None:
    for line in (
        b'"' * 16_000,
        b"a;" * 8_000,
        b"\\" * 16_000,
        b'a="' + b"\\" * 16_001,
        b"," * 16_000,
        b"a" + b";  " * 16_000 + b"=",
        b"a;" + b" " * 16_000 + b"(",
        b"a" + b" ; b = c " * 8_000 + b'"',
    ):
        preferences([line])
