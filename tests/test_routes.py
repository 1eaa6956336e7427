"""Which requests are the sync mode's, and which targets may pass."""

from __future__ import annotations

import pytest

from gateway.errors import BadRequest
from gateway.routes import CreateRoute, ResultRoute, Route, origin_form, route


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/task/1/job", CreateRoute()),
        ("POST", "/acme/task/1/job", CreateRoute("acme")),
        ("POST", "/job", CreateRoute()),
        ("POST", "/acme/job", CreateRoute("acme")),
        ("POST", "/task/1/secret/2/job", CreateRoute(by_secret=True)),
        ("POST", "/acme/task/1/secret/2/job", CreateRoute("acme", by_secret=True)),
        ("GET", "/job/1/result", ResultRoute("1")),
        ("POST", "/job/1/result", ResultRoute("1")),
        ("GET", "/job//result", ResultRoute("")),
        ("GET", "/job/1/secret/2/result", ResultRoute("1", "2")),
        ("GET", "/task/1/job", None),
        ("GET", "/acme/job", None),
        ("PUT", "/job/1/result", None),
        ("HEAD", "/job/1/result", None),
        ("GET", "/acme/job/1/result", None),
        ("GET", "/job/1/2/result", None),
        ("GET", "/job/1/result/", None),
        ("POST", "/workflows/1/job", None),
        ("POST", "/a/b/task/1/job", None),
        ("POST", "/job/secret/1", None),
        ("POST", "//job", None),
        ("GET", "/", None),
    ],
)
def test_a_request_is_known_by_method_and_path(
    method: str, path: str, expected: Route | None
) -> None:
    assert route(method, path) == expected


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
def test_a_target_on_this_server_goes_upstream_in_origin_form(target: str, expected: str) -> None:
    assert origin_form("GET", target, "h:1") == expected


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
def test_any_other_target_is_refused(target: str) -> None:
    with pytest.raises(BadRequest):
        origin_form("GET", target, "h:1")


def test_only_options_may_ask_about_the_whole_server() -> None:
    assert origin_form("OPTIONS", "*", "h") == "*"
    with pytest.raises(BadRequest):
        origin_form("GET", "http:///a", "")
