"""Failures and the answers they become."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from gateway import errors
from gateway.errors import (
    JSON_CONTENT,
    BadRequest,
    GatewayError,
    Overloaded,
    Response,
    Unauthorized,
    UnknownToken,
)
from tests.support.replay import exchanges_of


def all_errors() -> list[type[GatewayError]]:
    kinds = [GatewayError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return kinds


@pytest.mark.parametrize("kind", all_errors())
def test_every_failure_has_a_status_and_a_message_of_its_own(kind: type[GatewayError]) -> None:
    failure = kind()
    assert failure.message == HTTPStatus(failure.status).phrase
    assert failure.code == kind.code
    assert len({each.code for each in all_errors()}) == len(all_errors())


def test_a_failure_is_answered_in_theeyes_shape() -> None:
    response = errors.answer(BadRequest('say "ñ"'), "r1")
    assert response == Response(
        400,
        '{"statusCode":400,"message":"say \\"ñ\\"","code":"BadRequest","requestId":"r1"}'.encode(),
        (JSON_CONTENT,),
    )


def test_token_is_refused_in_the_upstreams_own_words() -> None:
    missing = json.loads(exchanges_of("auth_errors")[3]["response"]["body"])
    assert json.loads(errors.answer(Unauthorized(), "r1").content) == missing
    said = Response(401, b"{}", reason=b"No")
    assert errors.answer(UnknownToken(said), "r1") is said


def test_a_failures_fields_are_in_its_answer() -> None:
    retry = (b"Retry-After", b"1")
    response = errors.answer(Overloaded(fields=(retry,)), "r1")
    assert response.fields == (JSON_CONTENT, retry)
    more = response.with_fields((b"A", b"b"))
    assert more.fields == (JSON_CONTENT, retry, (b"A", b"b"))
