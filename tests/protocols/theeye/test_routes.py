"""Requests are classified as TheEye's router does it."""

from __future__ import annotations

import pytest

from gateway.protocols.theeye.routes import (
    CancelRoute,
    CreateRoute,
    ResultRoute,
    Route,
    RouteKind,
    classify,
    route_asked_for,
)

WORKFLOW = "64f000000000000000000001"


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
        ("DELETE", "/job/1/result", CancelRoute("1")),
        ("DELETE", "/job//result", CancelRoute("")),
        ("POST", f"/workflows/{WORKFLOW}/job", CreateRoute(workflow_id=WORKFLOW)),
        ("GET", f"/workflows/{WORKFLOW}/job/1/result", ResultRoute("1", workflow_id=WORKFLOW)),
        ("POST", f"/workflows/{WORKFLOW}/job/1/result", ResultRoute("1", workflow_id=WORKFLOW)),
        ("DELETE", f"/workflows/{WORKFLOW}/job/1/result", CancelRoute("1", WORKFLOW)),
        (
            "POST",
            f"/workflows/{WORKFLOW}/secret/2/job",
            CreateRoute(by_secret=True, workflow_id=WORKFLOW),
        ),
        ("DELETE", "/job/1/secret/2/result", None),
        ("DELETE", "/job/1", None),
        ("DELETE", "/acme/job/1/result", None),
        ("GET", "/task/1/job", None),
        ("GET", "/acme/job", None),
        ("PUT", "/job/1/result", None),
        ("HEAD", "/job/1/result", None),
        ("GET", "/acme/job/1/result", None),
        ("GET", "/job/1/2/result", None),
        ("GET", "/job/1/result/", None),
        ("POST", "/workflows/1/job", None),
        ("GET", "/workflows/1/job/2/result", None),
        ("GET", f"/workflows/{WORKFLOW}/job/1/secret/2/result", None),
        ("DELETE", f"/workflows/{WORKFLOW}/job/1/secret/2/result", None),
        ("GET", f"/acme/workflows/{WORKFLOW}/job/1/result", None),
        ("POST", "/a/b/task/1/job", None),
        ("POST", "/job/secret/1", None),
        ("POST", "//job", None),
        ("GET", "/", None),
    ],
)
def test_a_request_is_known_by_method_and_path(
    method: str, path: str, expected: Route | None
) -> None:
    assert classify(method, path).route == expected


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
    assert not classify(method, path).needs_token


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
        ("DELETE", "/job/1/result"),
        ("DELETE", "/job/1/secret/2/result"),
    ],
)
def test_theeye_looks_at_the_token_everywhere_else(method: str, path: str) -> None:
    assert classify(method, path).needs_token


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
    assert not classify("GET", path).proves_token


@pytest.mark.parametrize(
    "path", ["/", "/acme/job", "/api/x", "/apis", "/acme/api", "/a@b/api", "/secret"]
)
def test_path_of_a_request_with_a_token_is_no_other(path: str) -> None:
    assert classify("GET", path).proves_token


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/task/t/job", RouteKind.CREATE),
        ("POST", "/acme/job", RouteKind.CREATE),
        ("POST", "/task/t/secret/s/job", RouteKind.CREATE),
        ("POST", "/job/secret/s", RouteKind.CREATE),
        ("POST", "/workflows/w/job", RouteKind.CREATE),
        ("POST", "/workflows/w/secret/s/job", RouteKind.CREATE),
        ("POST", "/acme/task/t/JOB", RouteKind.CREATE),
        ("POST", "/task/t/job/", RouteKind.CREATE),
        ("POST", "/task/t/jo%62", RouteKind.CREATE),
        ("POST", "/task/t%0a/job%2F", RouteKind.CREATE),
        ("POST", "/task/t/job;a=b/c", RouteKind.CREATE),
        ("POST", "/job/secret/s/;", RouteKind.CREATE),
        ("GET", "/task/t/job", RouteKind.OTHER),
        ("POST", "/task/t/jobs", RouteKind.OTHER),
        ("POST", "/task", RouteKind.OTHER),
        ("PUT", "/job/j", RouteKind.OTHER),
        ("GET", "/job/j/result", RouteKind.RESULT),
        ("POST", "/job/j/result", RouteKind.RESULT),
        ("GET", "/job/j/secret/s/result", RouteKind.RESULT),
        ("DELETE", "/job/j/result", RouteKind.RESULT),
        ("DELETE", "/job/j/secret/s/result", RouteKind.OTHER),
        ("OPTIONS", "*", RouteKind.OTHER),
    ],
)
def test_kind_is_what_the_upstream_would_do(method: str, path: str, kind: RouteKind) -> None:
    assert classify(method, path).kind is kind


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/acme/task/t/job", CreateRoute("acme")),
        ("POST", "/task/t/secret/s/job", CreateRoute(by_secret=True)),
        ("GET", "/job/j/result", ResultRoute("j")),
        ("DELETE", "/job/j/result", CancelRoute("j")),
        ("POST", "/job/j/secret/s/result", ResultRoute("j", "s")),
        ("GET", "/task/t/job", None),
        ("post", "/task/t/job", None),
        ("", "/job/j/result", None),
        ("POST", "/task", None),
        ("POST", "*", None),
    ],
)
def test_a_preflight_is_of_the_route_that_is_asked_for(
    method: str, path: str, route: Route | None
) -> None:
    assert route_asked_for(method, path) == route
