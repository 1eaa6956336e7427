"""Failures and the answers they become."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.errors import (
    JSON_CONTENT,
    PROBLEM_CONTENT,
    BadRequest,
    GatewayError,
    Overloaded,
    Response,
    Unauthorized,
    UnknownToken,
)
from gateway.ops.access.refusals import NotFound
from tests.support.replay import exchanges_of


def all_errors() -> list[type[GatewayError]]:
    """Also those of the admin listener."""
    kinds = [GatewayError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    assert NotFound in kinds
    return kinds


@pytest.mark.parametrize("kind", all_errors())
def test_every_failure_has_a_status_and_a_message_of_its_own(kind: type[GatewayError]) -> None:
    failure = kind()
    assert failure.message == HTTPStatus(failure.status).phrase
    assert failure.code == kind.code
    assert len({each.code for each in all_errors()}) == len(all_errors())


def test_a_failure_is_answered_in_theeyes_shape() -> None:
    response = errors.response_of(BadRequest('say "ñ"'), "r1")
    assert response == Response(
        400,
        '{"statusCode":400,"message":"say \\"ñ\\"","code":"BadRequest","requestId":"r1"}'.encode(),
        (JSON_CONTENT,),
    )


def test_token_is_refused_in_the_upstreams_own_words() -> None:
    missing = json.loads(exchanges_of("auth_errors")[3]["response"]["body"])
    assert json.loads(errors.response_of(Unauthorized(), "r1").content) == missing
    said = Response(401, b"{}", reason=b"No")
    assert errors.response_of(UnknownToken(said), "r1") is said


def test_a_failures_fields_are_in_its_answer() -> None:
    retry = (b"Retry-After", b"1")
    response = errors.response_of(Overloaded(fields=(retry,)), "r1")
    assert response.fields == (JSON_CONTENT, retry)
    more = response.with_fields((b"A", b"b"))
    assert more.fields == (JSON_CONTENT, retry, (b"A", b"b"))


def test_rfc_9457_3_1_a_failure_is_a_problem_for_who_asks_for_one() -> None:
    retry = (b"Retry-After", b"1")
    response = errors.response_of(
        Overloaded('say "\u00f1"', fields=(retry,)), "r1", as_problem=True
    )
    assert response.status == 503
    assert response.fields == (PROBLEM_CONTENT, retry)
    assert json.loads(response.content) == {
        "type": "urn:theeye-sync-gateway:error:Overloaded",
        "title": "Overloaded",
        "status": 503,
        "detail": 'say "\u00f1"',
        "instance": "urn:theeye-sync-gateway:request:r1",
        "code": "Overloaded",
        "requestId": "r1",
    }


def test_a_token_is_refused_as_a_problem_unless_the_upstream_has_spoken() -> None:
    told = json.loads(errors.response_of(Unauthorized(), "r1", as_problem=True).content)
    assert (told["status"], told["code"], told["title"]) == (401, "Unauthorized", "Unauthorized")
    said = Response(401, b"{}", reason=b"No")
    assert errors.response_of(UnknownToken(said), "r1", as_problem=True) is said


@pytest.mark.parametrize("kind", all_errors())
def test_rfc_9457_3_1_each_problem_has_a_type_and_a_title_of_its_own(
    kind: type[GatewayError],
) -> None:
    told = json.loads(errors.response_of(kind(), "r1", as_problem=True).content)
    assert told["type"].endswith(f":{kind.code}")
    assert re.fullmatch(r"[A-Z][a-z]+( [a-z]+)*", told["title"])
    assert told["title"].replace(" ", "").lower() == kind.code.lower()


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="ascii")))
def test_no_text_breaks_the_json_or_the_uri_of_a_problem(detail: str, request_id: str) -> None:
    response = errors.problem(408, "TimeUp", detail, request_id, msgspec.Raw(b'{"id":"j"}'))
    told = json.loads(response.content)
    assert (told["detail"], told["requestId"], told["job"]) == (detail, request_id, {"id": "j"})
    assert re.fullmatch(r"urn:theeye-sync-gateway:request:[\w.~%-]*", told["instance"], re.ASCII)
