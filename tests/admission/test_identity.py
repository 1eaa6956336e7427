import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.identity import Identities, Identity, customer_claimed, token
from gateway.errors import Field

KEY = "a test key of more than thirty-two bytes"


def signed(**claims: object) -> str:
    return jwt.encode(claims, KEY, algorithm="HS256")


def unsigned(payload: bytes, header: bytes = b'{"alg":"none"}') -> bytes:
    return (
        b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload)) + b"."
    )


ACME = signed(org_uuid="acme", iat=0, exp=0)


@pytest.mark.parametrize(
    ("query", "fields", "found"),
    [
        ("access_token=abc", [], b"abc"),
        ("x=1&access%5Ftoken=a%2Eb", [], b"a.b"),
        ("", [(b"Authorization", b"Bearer abc")], b"abc"),
        ("", [(b"authorization", b"bEARER   abc ")], b"abc"),
        ("access_token=q", [(b"Authorization", b"Bearer h")], b"q"),
        ("access_token=", [(b"Authorization", b"Basic dTpw")], b""),
        ("", [(b"Authorization", b"Bearer ")], b""),
    ],
)
def test_token_is_found_where_theeye_takes_it_from(
    query: str, fields: list[Field], found: bytes
) -> None:
    assert token(query, fields) == found


def test_identity_names_the_organization_and_holds_no_token() -> None:
    identity = Identities().identify(f"access_token={ACME}", [], "192.0.2.7")
    assert identity.customer == "acme"
    assert len(identity.key) == 16
    assert identity.key == identity.token_hash
    assert ACME not in repr(identity)
    bearer = [(b"Authorization", f"Bearer {ACME}".encode())]
    assert identity == Identities().identify("", bearer, "192.0.2.8")


def test_request_without_a_token_is_known_by_its_address() -> None:
    first, second = (
        Identities().identify("a=b", [(b"Host", b"x")], address)
        for address in ("192.0.2.7", "192.0.2.8")
    )
    assert first.is_anonymous
    assert not first.is_verified
    assert len(first.key) == 16
    assert first.key != second.key


def test_token_is_accepted_once_the_upstream_took_it_and_until_it_refuses_it() -> None:
    identities = Identities()
    identity = identities.identify(f"access_token={ACME}", [], "192.0.2.7")
    seen = [identities.is_accepted(identity)]
    for status in (401, 200, 404, 401):
        identities.answered(identity, status)
        seen.append(identities.is_accepted(identity))
    assert seen == [False, False, True, True, False]


def test_request_without_a_token_is_never_accepted() -> None:
    identities = Identities()
    nobody = Identity(key=b"")
    identities.answered(nobody, 200)
    assert not identities.is_accepted(nobody)


@pytest.mark.parametrize(
    "presented",
    [
        b"garbage",
        b"a.b.c",
        signed().encode(),
        signed(org_uuid=7).encode(),
        signed(org_uuid="..").encode(),
        signed(org_uuid="a\nb").encode(),
        signed(org_uuid="x" * 300).encode(),
        signed(org_uuid="acme", pad="x" * 60_000).encode(),
        unsigned(b"[1]"),
        unsigned(b"[" * 9000),
        unsigned(b'{"org_uuid":' + b"1" * 9000 + b"}"),
        unsigned(b'{"org_uuid":"acme"}', b"[" * 4000),
        unsigned(b'{"org_uuid":"\xff"}'),
    ],
)
def test_token_without_a_usable_organization_names_none(presented: bytes) -> None:
    assert customer_claimed(presented) == ""


def test_token_is_read_whatever_its_signature_and_expiry() -> None:
    claims = json.dumps({"org_uuid": "globex", "exp": 1}).encode()
    assert customer_claimed(unsigned(claims)) == "globex"


@given(st.binary(max_size=200))
def test_no_token_can_make_reading_fail(presented: bytes) -> None:
    customer_claimed(presented)
    customer_claimed(unsigned(presented))


def test_as_many_identities_are_kept_as_allowed() -> None:
    identities = Identities(size=2)
    for number in range(5):
        identities.identify(f"access_token=t{number}", [], "")
    assert len(identities._known) == 2
