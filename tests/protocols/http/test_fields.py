"""Field rules of RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.http.fields import (
    FOR_EVERYBODY,
    HOP_BY_HOP,
    connection_options,
    count,
    end_to_end,
    has_length,
    keep_alive_seconds,
    list_members,
    value,
    values,
    without,
)

NAMES = st.sampled_from(
    [
        b"Connection",
        b"CONNECTION",
        b"X-A",
        b"x-a",
        b"X-B",
        b"Host",
        b"Keep-Alive",
        b"TE",
        b"close",
        b"Content-Length",
        b"Authorization",
    ]
)
VALUES = st.lists(NAMES | st.sampled_from([b"", b"close", b" keep-alive "]), max_size=3).map(
    b", ".join
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@given(fields=FIELDS)
def test_rfc_9110_7_6_1_what_connection_names_never_goes_to_the_next_hop(
    fields: list[tuple[bytes, bytes]],
) -> None:
    named = {
        option.strip().lower()
        for name, content in fields
        if name.lower() == b"connection"
        for option in content.split(b",")
    } - {b"", b"close", b"keep-alive"}
    passed = [name.lower() for name, _ in end_to_end(fields)]
    assert not (named - FOR_EVERYBODY).intersection(passed)
    assert not HOP_BY_HOP.intersection(passed)


@given(fields=FIELDS)
def test_rfc_9110_7_6_1_everything_else_does_in_order_and_unchanged(
    fields: list[tuple[bytes, bytes]],
) -> None:
    dropped = HOP_BY_HOP | (
        connection_options(fields) - FOR_EVERYBODY - {b"close", b"keep-alive", b""}
    )
    assert end_to_end(fields) == [line for line in fields if line[0].lower() not in dropped]


@pytest.mark.parametrize("option", sorted(FOR_EVERYBODY))
def test_rfc_9110_7_6_1_field_for_every_recipient_is_not_dropped_through_connection(
    option: bytes,
) -> None:
    fields = [
        (b"Connection", b"X-A, " + option.title()),
        (b"connection", option),
        (option, b"1"),
        (b"X-A", b"2"),
    ]
    assert end_to_end(fields) == [(option, b"1")]


def test_rfc_9110_5_1_a_field_is_found_whatever_its_case() -> None:
    fields = [(b"a", b"1"), (b"X-Y", b"2"), (b"x-y", b"3"), (b"Content-LENGTH", b"0")]
    assert value(fields, b"x-y") == b"2"
    assert value(fields, b"z") is None
    assert values(fields, b"x-y") == [b"2", b"3"]
    assert without(fields, b"x-y", b"a") == [(b"Content-LENGTH", b"0")]
    assert has_length(fields)
    assert not has_length(fields[:3])


def test_rfc_9110_5_6_1_list_members_stand_on_several_lines_and_may_be_empty() -> None:
    assert list_members([b"a, b", b" ,c,, "]) == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    ("announced", "seconds"),
    [
        (b"timeout=5", 5.0),
        (b"max=100, timeout = 30", 30.0),
        (b"timeout=x", None),
        (b"timeout=99999999999999999999", 999999999.0),
        (b"5", None),
    ],
)
def test_the_upstreams_keep_alive_time_is_understood(
    announced: bytes, seconds: float | None
) -> None:
    assert keep_alive_seconds([(b"Keep-Alive", announced)]) == seconds
    assert keep_alive_seconds([]) is None


def test_lines_of_one_name_are_counted() -> None:
    names = [b"host", b"via", b"host", b"host"]
    assert [count(names, name) for name in (b"host", b"via", b"date")] == [3, 1, 0]
