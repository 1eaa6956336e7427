"""Which requests are the sync mode's, and which targets may pass."""

from __future__ import annotations

import pytest

from gateway.errors import BadRequest
from gateway.protocols.theeye.routes import (
    CreateRoute,
    ResultRoute,
    Route,
    may_take_none,
    origin_form,
    route,
    takes_token,
)


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
    ("method", "path"),
    [
        ("OPTIONS", "/acme/job"),
        ("OPTIONS", "*"),
        ("GET", "/api"),
        ("HEAD", "/api/status"),
        ("GET", "/%61%70%69/status"),
        ("GET", "//api/status"),
        ("POST", "/token"),
        ("POST", "/task/1/secret/2/job"),
        ("POST", "/acme/task/1/secret/2/job"),
        ("POST", "/task/1/%73ecret/2/job"),
        ("POST", "/job/secret/2"),
        ("POST", "/workflows/1/secret/2/job"),
        ("POST", "/acme/webhook/1/trigger/secret/2"),
        ("GET", "/job/1/secret/2/result"),
        ("POST", "/job/1/secret/2/result"),
    ],
)
def test_theeye_looks_at_no_token_there(method: str, path: str) -> None:
    assert not takes_token(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/api/x"),
        ("GET", "/apis"),
        ("GET", "/API"),
        ("GET", "/token"),
        ("GET", "/acme/job"),
        ("POST", "/task/1/job"),
        ("GET", "/job/1/result"),
        ("GET", "/secret/job/1"),
        ("GET", "/job/secret/output"),
        ("GET", "/task/1/secret/2/job"),
        ("POST", "/task/1%2Fsecret%2F2/job"),
        ("POST", "/task/1/secret/2/job/"),
        ("POST", "/secret/2/job"),
        ("POST", "/acme/secret/2/job"),
        ("PUT", "/job/1/secret/2/result"),
        ("GET", "/a//secret//job"),
        ("GET", "/%zz/secret/%"),
        ("POST", "/job;/task/1/secret/2/job"),
        ("POST", "/job/secret/2;"),
        ("GET", "/job/1;/secret/2/result"),
    ],
)
def test_theeye_looks_at_the_token_everywhere_else(method: str, path: str) -> None:
    assert takes_token(method, path)


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/API/",
        "//api/status",
        "/\\api",
        "//user@host/api",
        "/\\user@host\\api//status",
        "/a%70i%2Fstatus;x",
        "/Token",
        "/job%2Fsecret%2F2",
        "/job\\secret\\2;",
        "/acme;/secret/2",
    ],
)
def test_path_that_some_router_takes_for_one_without_a_token_is_known(path: str) -> None:
    assert may_take_none(path)


@pytest.mark.parametrize(
    "path", ["/", "/acme/job", "/api/x", "/apis", "/acme/api", "/a@b/api", "/secret"]
)
def test_path_of_a_request_with_a_token_is_no_other(path: str) -> None:
    assert not may_take_none(path)


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
