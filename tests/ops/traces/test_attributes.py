"""What spans tell of requests, and what they must not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.admission.identity.identities import Identity
from gateway.downstream.exchange import Kind, Outcome
from gateway.ops.traces.attributes import (
    destination,
    name_of,
    of_exchange,
    of_request,
    path_of,
    route_of,
)
from gateway.protocols.theeye.routes import PREFLIGHT, classify
from tests.support.client import client
from tests.support.records import exchange

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
ID = "64ac6772be08c0252fb5ed1a"


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", f"/job/{ID}/result", "/job/:id/result"),
        ("GET", f"/job/{ID}/secret/s3cret/result", "/job/:id/secret/:secret/result"),
        ("GET", f"/workflows/{ID}/job/{ID}/result", "/workflows/:workflow/job/:id/result"),
        ("DELETE", f"/job/{ID}/result", "/job/:id/result"),
        ("DELETE", f"/workflows/{ID}/job/{ID}/result", "/workflows/:workflow/job/:id/result"),
        ("POST", f"/task/{ID}/job", "/task/:task/job"),
        ("POST", f"/task/{ID}/secret/s3cret/job", "/task/:task/secret/:secret/job"),
        ("POST", f"/workflows/{ID}/job", "/workflows/:workflow/job"),
        ("POST", f"/workflows/{ID}/secret/s3cret/job", "/workflows/:workflow/secret/:secret/job"),
        ("GET", "/acme/task", ""),
    ],
)
def test_route_has_no_id(method: str, path: str, route: str) -> None:
    assert route_of(classify(method, path).route) == route


def test_route_of_a_preflight_is_none() -> None:
    assert route_of(PREFLIGHT) == ""


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("GET", f"/job/{ID}/result", "GET /job/:id/result"),
        ("GET", f"/acme/task/{ID}", "GET"),
        ("PROPFIND", "/acme", "HTTP"),
    ],
)
def test_names_are_few(method: str, target: str, name: str) -> None:
    record = exchange(method, target, route=classify(method, target).route)
    assert name_of(record) == name


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/acme/job?access_token=t0ken&x=y", "/acme/job"),
        ("/acme/job#access_token=t0ken", "/acme/job"),
        (f"/job/{ID}/secret/s3cret/result", f"/job/{ID}/secret/***/result"),
        (f"/acme/{JWT}/x", "/acme/***/x"),
        ("http://user:pa55word@host/x?y", "http://***@host/x"),
        ("access_token=t0ken", "access_token=***"),
        ("/" + "x" * 5000, "/" + "x" * 2044 + "..."),
    ],
)
def test_path_has_no_secret_and_no_query(target: str, path: str) -> None:
    assert path_of(target) == path


def test_request_is_told_by_the_names_of_the_conventions() -> None:
    record = exchange(
        "GET",
        f"/job/{ID}/result?access_token=t0ken",
        route=classify("GET", f"/job/{ID}/result").route,
        kind=Kind.RESULT,
        status=303,
        job_id=ID,
        job_state="started",
        held_seconds=5.0,
        outcome=Outcome.OK,
    )
    assert of_exchange(record) == {
        "http.request.method": "GET",
        "http.route": "/job/:id/result",
        "http.response.status_code": 303,
        "url.scheme": "http",
        "url.path": f"/job/{ID}/result",
        "client.address": "192.0.2.7",
        "network.peer.address": "192.0.2.7",
        "gateway.request_id": "r1",
        "gateway.kind": "result",
        "gateway.outcome": "ok",
        "gateway.job_id": ID,
        "gateway.job_state": "started",
        "gateway.held_seconds": 5.0,
    }


def test_token_is_told_as_its_hash_and_its_owner_only_where_that_is_proved() -> None:
    known = Identity(b"k", "acme", "ada", "", b"\x01" * 16, is_verified=False)
    told = of_exchange(exchange(identity=known))
    assert told["gateway.token_hash"] == "01" * 16
    assert "gateway.organization" not in told
    told = of_exchange(exchange(identity=replace(known, is_verified=True)))
    assert (told["gateway.organization"], told["gateway.user"]) == ("acme", "ada")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"curl/8.5 (x; y)", "curl/8.5 (x; y)"),
        (b"a\x7fb", "a%7Fb"),
        (f"x {JWT}".encode(), "***"),
        (b"x Bearer opaque", "***"),
        (b"x" * 1000, "x" * 256),
    ],
)
def test_what_a_client_says_of_itself_is_bounded_and_without_secrets(
    said: bytes, told: str
) -> None:
    record = exchange()
    record.client = client(fields=[(b"User-Agent", said)])
    assert of_exchange(record)["user_agent.original"] == told


@pytest.mark.parametrize(
    ("origin", "address", "port"),
    [
        ("http://theeye:60080", "theeye", 60080),
        ("https://[::1]:443", "::1", 443),
        ("http://theeye", "theeye", 80),
        ("https://theeye/", "theeye", 443),
        ("unix:/run/theeye.sock", "/run/theeye.sock", None),
    ],
)
def test_request_upstream_tells_where_it_went(origin: str, address: str, port: int | None) -> None:
    told = of_request("GET", "/acme/job/1?access_token=t0ken", "read", 200, destination(origin))
    assert told["server.address"] == address
    assert told.get("server.port") == port
    assert str(told["url.full"]).endswith("/acme/job/1")
    assert told["gateway.purpose"] == "read"
    assert "t0ken" not in repr(told)


def test_unknown_method_is_told_as_other() -> None:
    assert (
        of_request("TOKEN", "/", "relay", 0, destination("http://a:1"))["http.request.method"]
        == "_OTHER"
    )
