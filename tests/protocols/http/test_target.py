"""Which targets may be sent upstream, and in which form."""

from __future__ import annotations

import pytest

from gateway.errors import BadRequest
from gateway.protocols.http.target import origin_form


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/a?b", "/a?b"),
        ("//a/../b%zz", "//a/../b%zz"),
        ("http://h:1/a?b", "/a?b"),
        ("HTTPS://H:1?b", "/?b"),
        ("http://h:1", "/"),
    ],
)
def test_rfc_9112_3_2_a_target_on_this_server_goes_upstream_in_origin_form(
    target: str, expected: str
) -> None:
    assert origin_form("GET", target, b"h:1") == expected


@pytest.mark.parametrize(
    "target",
    [
        "",
        "a",
        "*",
        "http://other/a",
        "http://h/a",
        "ftp://h:1/",
        "/a b",
        "/a#b",
        "/\x7f",
        "/ñ",
        "h:1",
    ],
)
def test_rfc_9112_3_2_any_other_target_is_refused(target: str) -> None:
    with pytest.raises(BadRequest):
        origin_form("GET", target, b"h:1")


def test_rfc_9112_3_2_4_only_options_may_ask_about_the_whole_server() -> None:
    assert origin_form("OPTIONS", "*", b"h") == "*"
    with pytest.raises(BadRequest):
        origin_form("GET", "http:///a", b"")
