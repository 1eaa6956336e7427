from __future__ import annotations

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway.admission.identity.claims import Claims, Key, Signature, verified
from gateway.admission.identity.jwks import MOST_TRIED, SET_KEYS, NoKeys, fitting, keys_in
from tests.support.tokens import RSA, WEAK, key_set, plain, signed


def member(**changes: object) -> bytes:
    return json.dumps({"keys": [plain(RSA, kid="k1", **changes)]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"keys":{}}',
        b'{"keys":[7,null,[]]}',
        b'{"keys":[{}]}',
        b'{"keys":[{"kty":["RSA"]}]}',
        b'{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"k1"}]}',
        b'{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"k1"}]}',
        b'{"keys":[{"kty":"RSA","n":7,"e":{},"kid":"k1"}]}',
        b'{"keys":[{"kty":"EC","crv":"P-256","x":"","y":"","kid":"k1"}]}',
        member(use="enc"),
        member(alg="none"),
        member(alg="HS256"),
        member(alg="nonsense"),
        member(alg=["RS256"]),
        member(alg="ES256"),
        json.dumps({"keys": [json.loads(RSAAlgorithm.to_jwk(RSA))]}).encode(),
        key_set(k1=WEAK),
    ],
)
def test_set_without_a_public_key_for_signatures_is_none(content: bytes) -> None:
    with pytest.raises(NoKeys):
        keys_in(content)


@given(st.binary() | st.recursive(st.text() | st.integers(), st.lists).map(json.dumps))
def test_no_document_makes_reading_fail(content: bytes | str) -> None:
    text = content if isinstance(content, bytes) else content.encode()
    for document in (text, b'{"keys":[%b]}' % text):
        with pytest.raises(NoKeys):
            keys_in(document)


def test_usable_keys_are_taken_from_among_others() -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    members = [
        {"kty": "unknown"},
        {**json.loads(ECAlgorithm.to_jwk(elliptic)), "kid": "e"},
        plain(RSA, kid=7),
    ]
    found = keys_in(json.dumps({"keys": members}).encode())
    assert [(key.key_id, key.algorithm) for key in found] == [("e", "ES256"), (None, "RS256")]


def test_key_of_a_set_verifies_by_its_own_algorithm_only() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    document = {"keys": [{**json.loads(ECAlgorithm.to_jwk(private.public_key())), "kid": "e"}]}
    [key] = keys_in(json.dumps(document).encode())
    token = jwt.encode({"org_uuid": "acme"}, private, algorithm="ES256").encode()
    assert verified(token, key) == Claims("acme")
    assert verified(signed(RSA, "RS256", org_uuid="acme"), key) is None


def keys(*named: tuple[str | None, str]) -> list[Key]:
    """Keys with these ids and algorithms, told apart by their material."""
    return [Key(alg, str(n).encode(), kid) for n, (kid, alg) in enumerate(named)]


MIXED = keys(
    ("a", "RS256"), (None, "RS256"), ("a", "ES256"), (None, "ES256"), ("b", "RS256"), ("a", "RS256")
)


@pytest.mark.parametrize(
    ("key_id", "algorithm", "found"),
    [
        ("a", "RS256", [0, 5]),
        ("a", "ES256", [2]),
        ("b", "ES256", []),
        ("c", "RS256", [1]),
        ("c", "ES256", [3]),
        (None, "RS256", [1, 0, 4, 5]),
        (None, "ES256", [3, 2]),
        ("a", "HS256", []),
        (None, "none", []),
    ],
)
def test_keys_that_may_have_signed_are_found_by_algorithm_and_id(
    key_id: str | None, algorithm: str, found: list[int]
) -> None:
    fits = fitting(MIXED, Signature(key_id, algorithm))
    assert [int(key.material) for key in fits] == found  # type: ignore[arg-type]


def test_few_are_tried() -> None:
    many = keys(*[(None, "RS256")] * SET_KEYS)
    assert fitting(many, Signature("a", "RS256")) == tuple(many[:MOST_TRIED])
    same = keys(*[("a", "RS256")] * SET_KEYS)
    assert fitting(same, Signature("a", "RS256")) == tuple(same[:MOST_TRIED])
    assert fitting(same, Signature(None, "RS256")) == tuple(same[:MOST_TRIED])


def test_set_is_read_no_further_than_allowed() -> None:
    members = [plain(RSA, kid=str(number)) for number in range(SET_KEYS + 5)]
    assert len(keys_in(json.dumps({"keys": members}).encode())) == SET_KEYS
