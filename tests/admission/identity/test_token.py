from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.admission.identity.token import (
    HASH_BYTES,
    _decoded,
    _in_query,
    is_plain,
    is_token_parameter,
    presented,
    token_hash,
)
from gateway.demo.answers import RefusedError
from gateway.demo.identity import session_of
from gateway.demo.qs import parse
from gateway.demo.sessions import Session, Sessions
from gateway.errors import Field
from gateway.protocols.http.fields import end_to_end, lowered, value
from gateway.protocols.http.query import Query


def found(query: str, *fields: Field) -> bytes:
    return presented(Query(query), fields, lowered(fields))


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
        ("access_token[]=a", [], b"a"),
        ("access_token%5B0%5D=a", [], b"a"),
        ("[access_token]=a", [], b"a"),
        ("%5Baccess_token%5D%5B%5D=a", [], b"a"),
        ("access_token[][0][19]=a", [], b"a"),
        ("access_token=q", [(b"Authorization", b"")], b"q"),
        ("access_token=q", [(b"Authorization", b""), bearer("abc")], b"q"),
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
        ("access_token]=a", []),
        ("access_token=a]=b", []),
        ("access%5Ftoken%zz=a", []),
        ("access_token[]=", []),
        ("access_token=a&access_token=b", []),
        ("access_token=a&[access_token]=b", []),
        ("access_token[x]=a", []),
        ("access_token[toString]=a", [bearer("abc")]),
        ("access_token[=a", [bearer("abc")]),
        ("access_token[]junk=a", [bearer("abc")]),
        ("access_token[]=", [bearer("abc")]),
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
    assert _in_query(Query(query)) == _decoded(Query(query))


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
    assert is_token_parameter("[access_token]x")
    assert not is_token_parameter("x[access_token]")
    assert not is_token_parameter("access_tokens")


@pytest.mark.parametrize(
    "token", [b"a b", b"a%62", b"a&x=1", b"a#b", b"a+", b"a,b", b"\xc3\xb1", b""]
)
def test_token_that_has_other_spellings_is_not_plain(token: bytes) -> None:
    assert not is_plain(token)
    assert is_plain(b"eyJh.b-_~/=")


class Logged(Sessions):
    """Everybody is logged in with every token; ``asked`` are the tokens looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def of(self, token: str) -> Session:
        self.asked.append(token)
        return self.named("acme-user")


def taken(query: str, fields: list[Field], body: Any) -> str | None:
    """The token that the orchestrator takes, None where it refuses the request."""
    sent = [(name.lower(), content.strip(b" ")) for name, content in end_to_end(fields)]
    authorization = value(sent, b"authorization") or b""
    sessions = Logged()
    try:
        session_of(sessions, authorization.decode(), parse(query).get("access_token"), body)
    except RefusedError:
        return None
    [token] = sessions.asked
    return token


PIECES = st.sampled_from(
    [
        *("access_token", "[access_token]", "access%5Ftoken", "%5Baccess_token%5D", "[]", "[0]"),
        *("[x]", "[20]", "[toString]", "[", "]", "%5B", "%5D", "=", "=", "&", "&", "%zz", "%ff"),
        *("T", "U", "eyJ.a", "%54", "+", "%2541", "%26x=1", "%23", "x", ";", "__proto__"),
    ]
)
QUERIES = st.lists(PIECES, max_size=8).map("".join)
CREDENTIALS = st.sampled_from(
    [
        *(b"Bearer T", b"bearer U", b"Bearer %54", b"Bearer T&x", b"Bearer T ", b"Bearer  T"),
        *(b"Bearer", b"Basic T", b"Basic T U", b"", b"T"),
    ]
)
FIELDS = st.lists(
    st.tuples(st.sampled_from([b"Authorization", b"AUTHORIZATION"]), CREDENTIALS)
    | st.tuples(
        st.just(b"Connection"),
        st.sampled_from([b"authorization", b"close, Authorization", b"keep-alive"]),
    ),
    max_size=3,
)
CONTENTS = st.sampled_from([None, "R", "", ["R"], [], {"a": 1}, 7, 0, True, False]).map(
    lambda token: {"access_token": token}
) | st.sampled_from([None, ["R"], "R"])


@settings(max_examples=1000)
@example("access_token=a]=x", [], {"access_token": "R"})
@example("access_token[toString]=x", [], {"access_token": "R"})
@example(
    "", [(b"Connection", b"authorization"), (b"Authorization", b"Bearer T")], {"access_token": "R"}
)
@given(QUERIES, FIELDS, CONTENTS)
@pytest.mark.no_cover
def test_nobody_is_counted_under_a_token_but_the_one_that_the_orchestrator_takes(
    query: str, fields: list[Field], body: Any
) -> None:
    token = found(query, *fields)
    if token and is_plain(token):
        assert taken(query, fields, body) in {token.decode(), None}


@given(
    st.sampled_from(["T", "eyJ.a-b_c", "%54", "%65yJ.a"]),
    st.sampled_from(["access_token", "[access_token]"]).flatmap(
        lambda name: st.lists(st.sampled_from(["[]", "[0]", "[19]"]), max_size=4).map(
            lambda lists: name + "".join(lists)
        )
    ),
    st.data(),
)
def test_token_in_the_query_is_found_in_every_spelling_that_the_orchestrator_knows(
    token: str, name: str, data: st.DataObject
) -> None:
    escaped = "".join(
        data.draw(st.sampled_from([letter, f"%{ord(letter):02X}"]), label="letter")
        for letter in name
    )
    query = data.draw(st.sampled_from(["", "x=1&", "&&"])) + f"{escaped}={token}"
    assert found(query).decode() == taken(query, [], None)
