from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from contextlib import suppress

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.identity.claims import NO_CLAIMS, Claims, Key, Signature, claimed, verified
from gateway.admission.identity.claims import signature as signature_of
from tests.support.tokens import ACME, RSA, SECRET, signed, unsigned

HMAC = Key("HS256", SECRET.encode())
PUBLIC = Key("RS256", RSA.public_key())


def test_claims_are_read_whatever_the_signature_and_expiry() -> None:
    payload = {
        "org_uuid": "globex",
        "username": "ada",
        "email": "ada@globex.test",
        "user_id": "7",
        "credential": "admin",
        "exp": 1,
    }
    assert claimed(unsigned(json.dumps(payload).encode())) == Claims(
        "globex", "ada", "admin", "7", 1.0
    )


def test_user_is_named_by_what_the_token_has() -> None:
    assert claimed(signed(email="a@b.test")) == Claims(user="a@b.test", subject="a@b.test")


@pytest.mark.parametrize(
    "token",
    [
        b"garbage",
        b"a.b.c",
        signed(),
        signed(org_uuid=7, username=None, credential=["admin"], user_id={}),
        signed(org_uuid="..", user_id=""),
        signed(org_uuid="a\nb", username="a\x00b", credential="\x7f"),
        signed(org_uuid="x" * 300, username="x" * 300),
        signed(org_uuid="acme", pad="x" * 60_000),
        unsigned(b"[1]"),
        unsigned(b"[" * 9000),
        unsigned(b'{"org_uuid":' + b"1" * 9000 + b"}"),
        unsigned(b'{"org_uuid":"acme"}', b"[" * 4000),
        unsigned(b'{"org_uuid":"acme"}', b'{"alg":' + b'{"a":' * 2000),
        unsigned(b'{"org_uuid":"acme"}', b'{"alg":"none","kid":7}'),
        unsigned(b'{"org_uuid":"\xff"}'),
        b"\x00\x01.\xff.\n",
    ],
)
def test_token_without_usable_claims_has_none(token: bytes) -> None:
    assert claimed(token) == NO_CLAIMS


@pytest.mark.parametrize(
    ("given_expiry", "expires"),
    [
        (1690000000, 1690000000.0),
        (1.5, 1.5),
        (None, math.inf),
        ("1690000000", -math.inf),
        (True, -math.inf),
        ([], -math.inf),
        (-1, -1.0),
    ],
)
def test_expiry_is_a_number_or_none_is_given(given_expiry: object, expires: float) -> None:
    assert claimed(signed(exp=given_expiry)).expires == expires


@pytest.mark.parametrize(
    ("given_beginning", "begins"),
    [
        (1690000000, 1690000000.0),
        (1.5, 1.5),
        (None, -math.inf),
        ("1690000000", math.inf),
        (False, math.inf),
        ({}, math.inf),
        (-1, -1.0),
    ],
)
def test_beginning_is_a_number_or_it_never_comes(given_beginning: object, begins: float) -> None:
    assert claimed(signed(nbf=given_beginning)).begins == begins


@pytest.mark.parametrize("number", [b"9" * 400, b"9" * 310])
def test_expiry_beyond_all_numbers_is_never(number: bytes) -> None:
    assert claimed(unsigned(b'{"exp":%b}' % number)).expires == math.inf
    assert claimed(unsigned(b'{"exp":-%b}' % number)).expires == -math.inf


@pytest.mark.parametrize("number", [b"1e400", b"NaN", b"Infinity", b"9" * 5000])
def test_claims_that_are_not_json_are_none(number: bytes) -> None:
    payload = b'{"org_uuid":"acme","exp":%b}' % number
    assert claimed(unsigned(payload)) == NO_CLAIMS
    assert verified(jwt.PyJWS().encode(payload, SECRET).encode(), HMAC) is None


@given(st.binary(max_size=200))
def test_no_token_makes_reading_fail(presented: bytes) -> None:
    for token in (presented, unsigned(presented), unsigned(b"{}", presented)):
        claimed(token)
        assert verified(token, HMAC) is None
        assert verified(token, PUBLIC) is None
        with suppress(ValueError):
            signature_of(token)


def test_signature_of_the_key_is_taken() -> None:
    assert verified(ACME, HMAC) == claimed(ACME) != NO_CLAIMS
    by_rsa = signed(RSA, "RS256", org_uuid="acme")
    assert verified(by_rsa, PUBLIC) == Claims("acme")


@pytest.mark.parametrize(
    "token",
    [
        signed("another secret of more than thirty-two bytes", "HS256", org_uuid="acme"),
        signed(SECRET, "HS512", org_uuid="acme"),
        signed(RSA, "RS256", org_uuid="acme"),
        unsigned(b'{"org_uuid":"acme"}'),
        unsigned(b'{"org_uuid":"acme"}', b'{"alg":"HS256"}'),
        unsigned(b'{"org_uuid":"acme"}', b'{"alg":null}'),
        unsigned(b'{"org_uuid":"acme"}', b"{}"),
        ACME[:-4] + b"AAAA",
        ACME.rpartition(b".")[0],
        ACME + b"." + b"x" * 60_000,
        signed(SECRET, org_uuid="acme", pad="x" * 60_000),
    ],
)
def test_token_not_signed_with_the_key_by_its_algorithm_is_not_taken(token: bytes) -> None:
    assert verified(token, HMAC) is None


def test_short_secret_verifies_without_a_warning_each_time() -> None:
    payload = jwt.PyJWS().encode(b'{"org_uuid":"acme"}', SECRET).rpartition(".")[0].encode()
    signature = base64.urlsafe_b64encode(hmac.digest(b"short", payload, hashlib.sha256))
    token = payload + b"." + signature.rstrip(b"=")
    assert verified(token, Key("HS256", b"short")) == Claims("acme")
    assert verified(token, Key("HS256", b"other")) is None


def test_public_key_is_no_secret_to_sign_with() -> None:
    """Algorithm confusion: the public key's own text as an HMAC secret."""
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, payload = (
        base64.urlsafe_b64encode(part).rstrip(b"=")
        for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"org_uuid":"acme"}')
    )
    signature = hmac.digest(pem, head + b"." + payload, hashlib.sha256)
    token = b".".join((head, payload, base64.urlsafe_b64encode(signature).rstrip(b"=")))
    assert claimed(token) == Claims("acme")
    assert verified(token, PUBLIC) is None


def test_payload_must_be_the_one_that_was_signed() -> None:
    head, _, signature = ACME.split(b".")
    other = signed(org_uuid="globex").split(b".")[1]
    assert verified(b".".join((head, other, signature)), HMAC) is None


def test_key_shows_nothing_of_itself() -> None:
    assert SECRET not in repr(HMAC)


@pytest.mark.parametrize(
    ("token", "name"),
    [
        (ACME, None),
        (jwt.encode({}, SECRET, headers={"kid": "k1"}).encode(), "k1"),
        (jwt.encode({}, SECRET, headers={"kid": ""}).encode(), ""),
    ],
)
def test_key_that_a_token_names_is_known(token: bytes, name: str | None) -> None:
    assert signature_of(token) == Signature(name, "HS256")


@pytest.mark.parametrize(
    "token",
    [
        b"garbage",
        unsigned(b"{}", b'{"alg":"HS256","kid":["a"]}'),
        unsigned(b"{}", b'{"alg":["HS256"]}'),
        unsigned(b"{}", b'{"kid":"a"}'),
        unsigned(b"{}", b"[]"),
        ACME + b"x" * 60_000,
    ],
)
def test_no_token_at_all_names_no_key(token: bytes) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        signature_of(token)


@pytest.mark.parametrize("added", [b"&", b"%", b"!", b"=", b" ", b".x"])
def test_rfc_7515_7_1_token_with_characters_that_no_signed_token_has_is_none(added: bytes) -> None:
    """Base64url and two dots; a lenient decoder would skip the others."""
    token = signed("s" * 32, org_uuid="acme")
    assert signature_of(token) == Signature(None, "HS256")
    with pytest.raises(ValueError, match=r"^$"):
        signature_of(token + added)
