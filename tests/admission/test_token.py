from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.token import (
    HASH_BYTES,
    _decoded,
    _in_query,
    is_token_parameter,
    presented,
    token_hash,
)
from gateway.errors import Field
from gateway.fields import lowered


def found(query: str, *fields: Field) -> bytes:
    return presented(query, fields, lowered(fields))


def bearer(credentials: str) -> Field:
    return b"Authorization", b"Bearer " + credentials.encode()


@pytest.mark.parametrize(
    ("query", "fields", "token"),
    [
        ("access_token=abc", [], b"abc"),
        ("x=1&access%5Ftoken=a%2Eb&y", [], b"a.b"),
        ("%61ccess_toke%6E=abc", [], b"abc"),
        ("access_token=a+b", [], b"a b"),
        ("access_token=%C3%B1", [], "ñ".encode()),
        ("", [bearer("abc")], b"abc"),
        ("a=b", [(b"authorization", b"bEARER abc ")], b"abc"),
        ("access_token=", [bearer("abc")], b"abc"),
        ("access_token=q", [(b"Authorization", b"Basic dTpw")], b"q"),
        ("", [bearer("abc"), bearer("def")], b"abc"),
        ("access_token=a&access_token=b", [], b"a,b"),
        ("access_token[]=a", [], b"a"),
        ("access_token%5B0%5D=a", [], b"a"),
    ],
)
def test_token_is_found_where_theeye_takes_it_from(
    query: str, fields: list[Field], token: bytes
) -> None:
    assert found(query, *fields) == token


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", []),
        ("a=b", [(b"Host", b"x")]),
        ("access_token=", []),
        ("access_token", []),
        ("access+token=a", []),
        ("access%2Btoken=a&ACCESS_TOKEN=b", []),
        ("next=access_token%3Dabc", []),
        ("", [(b"Authorization", b"Basic dTpw")]),
        ("", [(b"Authorization", b"Bearer")]),
        ("", [bearer("a b")]),
        ("", [(b"Authorization", b'Digest username="u", realm="r"')]),
        ("", [(b"Authorization", b"")]),
    ],
)
def test_request_without_a_token_has_none(query: str, fields: list[Field]) -> None:
    assert found(query, *fields) == b""


@pytest.mark.parametrize("field", [b"Bearer abc", b"Bearer", b"Bearer a b"])
def test_token_in_the_query_beside_a_bearer_is_none_as_in_theeye(field: bytes) -> None:
    assert found("access_token=abc", (b"Authorization", field)) == b""


@given(
    st.lists(st.booleans(), min_size=12, max_size=12),
    st.booleans(),
    st.text(alphabet=st.characters(codec="utf-8"), min_size=1),
)
def test_parameter_is_found_however_its_name_is_escaped(
    escaped: list[bool], upper: bool, token: str
) -> None:
    name = "".join(
        (f"%{ord(letter):02X}" if upper else f"%{ord(letter):02x}") if is_escaped else letter
        for letter, is_escaped in zip("access_token", escaped, strict=True)
    )
    assert found(f"a=%20&{name}={quote(token, safe='')}") == token.encode()


@given(
    st.lists(
        st.sampled_from(
            ["access_token", "access_token=", "[]", "&", "=", "a.b-c_", "+", "%61", "x"]
        ),
        max_size=12,
    ).map("".join)
)
def test_short_cut_for_a_plain_parameter_finds_the_same(query: str) -> None:
    assert _in_query(query) == _decoded(query)


def test_parameter_behind_a_thousand_others_is_none_as_in_theeye() -> None:
    assert found("&".join(["a"] * 1000) + "&access_token=abc") == b""


@given(st.from_regex(re.compile(r"[!-~]*"), fullmatch=True), st.binary(max_size=100))
def test_no_request_makes_looking_fail(query: str, field: bytes) -> None:
    found(query, (b"Authorization", field))


def test_only_a_hash_of_fixed_size_stands_for_a_token() -> None:
    assert len(token_hash(b"x" * 60_000)) == HASH_BYTES
    assert token_hash(b"a") != token_hash(b"b")
    assert token_hash(b"a") == token_hash(b"a")


def test_parameters_of_a_token_are_told_from_others() -> None:
    assert is_token_parameter("access_token[0]")
    assert not is_token_parameter("access_tokens")
