from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.identity.identities import ANONYMOUS, Identity
from gateway.admission.identity.token import token_hash
from gateway.protocols.theeye.routes import CreateRoute
from gateway.sync.idempotency.keyed_request import KeyedRequest, keyed_request
from tests.support.theeye import exchange

BEARER = (b"Authorization", b"Bearer t1")
BY_SECRET = CreateRoute(by_secret=True)


def of_token(token: bytes) -> Identity:
    return Identity(token_hash(token), "acme", "u", "user", token_hash(token), is_verified=False)


def verified(token: bytes, user: bytes = b"u" * 16) -> Identity:
    return Identity(user, "acme", "u", "user", token_hash(token), is_verified=True)


def request(
    target: str = "/task/1/job",
    *fields: tuple[bytes, bytes],
    key: str = "k",
    content: bytes = b"[1]",
    identity: Identity = ANONYMOUS,
    route: CreateRoute | None = None,
    method: str = "POST",
) -> KeyedRequest:
    made = exchange(method, target, *fields)
    made.identity = identity
    return keyed_request(made, route or CreateRoute(), key, content)


def of_t1(target: str = "/task/1/job", key: str = "k", content: bytes = b"[1]") -> KeyedRequest:
    return request(target, BEARER, key=key, content=content, identity=of_token(b"t1"))


def test_repetition_is_the_same_request() -> None:
    assert of_t1() == of_t1()


def test_token_in_the_query_or_in_a_field_is_the_same_caller_and_request() -> None:
    in_query = request("/task/1/job?a=1&access_token=t1", identity=of_token(b"t1"))
    in_field = of_t1("/task/1/job?a=1")
    assert in_query == in_field


@pytest.mark.parametrize(
    "other",
    [
        {"target": "/task/2/job"},
        {"target": "/task/1/job?x"},
        {"content": b"[2]"},
    ],
)
def test_another_request_has_the_same_name_and_another_fingerprint(other: dict[str, str]) -> None:
    mine, others = of_t1(), of_t1(**other)  # type: ignore[arg-type]
    assert others.name == mine.name
    assert others.fingerprint != mine.fingerprint


def test_method_is_part_of_the_fingerprint() -> None:
    posted, put = (request(method=method).fingerprint for method in ("POST", "PUT"))
    assert posted != put


def test_another_key_has_another_name_and_another_secret() -> None:
    mine, others = of_t1(), of_t1(key="K")
    assert others.name.caller == mine.name.caller
    assert others.name.digest != mine.name.digest
    assert others.fingerprint != mine.fingerprint
    assert others.common != mine.common


def test_same_key_of_another_token_is_another_name() -> None:
    other = request("/task/1/job", (b"Authorization", b"Bearer t2"), identity=of_token(b"t2"))
    assert other.name != of_t1().name


def test_verified_user_is_the_same_caller_with_another_token() -> None:
    """But what was sealed for the other token does not open with this one."""
    first = request("/task/1/job", BEARER, identity=verified(b"t1"))
    second = request("/task/1/job", (b"Authorization", b"Bearer t2"), identity=verified(b"t2"))
    assert replace(second, proof=first.proof) == first
    assert second.proof != first.proof


def test_verified_users_do_not_share_keys() -> None:
    first = request("/task/1/job", BEARER, identity=verified(b"t1"))
    second = request("/task/1/job", BEARER, identity=verified(b"t1", b"v" * 16))
    assert first.name != second.name


def test_task_secret_is_the_caller_on_its_routes_whatever_token_is_sent() -> None:
    plain = request("/task/1/secret/s/job", route=BY_SECRET)
    with_token = request(
        "/acme/task/1/secret/s/job", BEARER, route=BY_SECRET, identity=verified(b"t1")
    )
    other = request("/task/1/secret/S/job", route=BY_SECRET)
    assert plain.name == with_token.name
    assert plain.fingerprint != with_token.fingerprint
    assert other.name != plain.name


def test_credentials_that_cannot_be_told_are_the_caller_as_they_came() -> None:
    strange = (b"Authorization", b"Bearer a b c")
    assert request("/task/1/job", strange).name == request("/task/1/job", strange).name
    assert request("/task/1/job", strange).name != request().name
    in_query = request("/task/1/job?access_token=a&access_token=b")
    assert in_query.name != request("/task/1/job?access_token=a&access_token=c").name


def test_without_credentials_the_content_is_the_caller() -> None:
    """The upstream may find a token there."""
    one, other = request(content=b"access_token=a"), request(content=b"access_token=b")
    assert one.name != other.name


@given(st.text("ab=&%", max_size=12), st.text("ab=&%", max_size=12))
def test_queries_with_one_fingerprint_differ_in_nothing_but_empty_text(
    one: str, other: str
) -> None:
    fingerprints = {of_t1(f"/task/1/job?{query}").fingerprint for query in (one, other)}
    assert (len(fingerprints) == 1) is (one == other)


def test_parts_that_are_too_many_to_be_read_count_too() -> None:
    many = "&".join(f"a{number}" for number in range(1001))
    assert of_t1(f"/task/1/job?{many}&x").fingerprint != of_t1(f"/task/1/job?{many}&y").fingerprint


def test_nothing_of_a_request_is_shown() -> None:
    shown = repr(of_t1(key="my-key"))
    assert "t1" not in shown
    assert "my-key" not in shown
