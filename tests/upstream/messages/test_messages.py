"""Requests as bytes."""

from __future__ import annotations

import pytest

from gateway.upstream import Head, Outbound, Purpose
from gateway.upstream.messages.messages import passable_reason


def test_a_requests_head_is_written_line_by_line() -> None:
    outbound = Outbound(
        "GET", "/a?b", [(b"Host", b"h"), (b"x-A", b""), (b"X-a", b"1")], Purpose.READ
    )
    assert outbound.head() == b"GET /a?b HTTP/1.1\r\nHost: h\r\nx-A: \r\nX-a: 1\r\n\r\n"
    assert Outbound("OPTIONS", "*", [], Purpose.READ).head() == b"OPTIONS * HTTP/1.1\r\n\r\n"


def test_rfc_9110_7_6_1_only_end_to_end_lines_of_an_answer_are_passed_on() -> None:
    fields = [(b"A", b"1"), (b"Connection", b"a"), (b"B", b"2")]
    head = Head(200, b"OK", fields, [b"a", b"connection", b"b"], None)
    assert head.passed_on() == [(b"B", b"2")]


def test_rfc_9110_7_6_1_an_answer_keeps_its_length_even_where_connection_names_it() -> None:
    fields = [(b"Content-Length", b"2"), (b"Connection", b"content-length")]
    head = Head(200, b"OK", fields, [b"content-length", b"connection"], 2)
    assert head.passed_on() == [(b"Content-Length", b"2")]


@pytest.mark.parametrize(
    ("reason", "status", "passed"),
    [
        (b"", 200, b""),
        (b"Tout \xe0 fait\t!", 200, b"Tout \xe0 fait\t!"),
        (b"a\x00", 404, b"Not Found"),
        (b"a\x1b[1m", 999, b""),
        (b"a\rb", 200, b"OK"),
        (b"a\x7f", 200, b"OK"),
    ],
)
def test_rfc_9112_4_reason_phrase_with_control_characters_gives_way_to_the_usual_one(
    reason: bytes, status: int, passed: bytes
) -> None:
    assert passable_reason(reason, status) == passed
