"""Which 401 is about the token, and what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.identity.rejection import MOST_BYTES, is_failed_lookup, rejection
from gateway.errors import Field, Response
from tests.support.tokens import UNKNOWN

RECORDINGS = Path(__file__).parents[2] / "recordings"

SERVER = (b"Server", b"restify")
TYPE = (b"content-type", b"application/json")
FIELDS: list[Field] = [
    SERVER,
    (b"Access-Control-Allow-Origin", b"https://a.test"),
    TYPE,
    (b"Content-Length", b"2"),
    (b"Set-Cookie", b"a=b"),
    (b"Date", b"x"),
]


def test_what_everybody_may_read_of_a_401_is_kept() -> None:
    kept = rejection(401, b"No", FIELDS, UNKNOWN)
    assert kept == Response(401, UNKNOWN, (SERVER, TYPE), b"No")


@pytest.mark.parametrize(
    ("status", "field", "content"),
    [
        (403, SERVER, UNKNOWN),
        (200, SERVER, UNKNOWN),
        (401, SERVER, b""),
        (401, SERVER, UNKNOWN + b" " * MOST_BYTES),
        (401, (b"Content-Encoding", b"gzip"), UNKNOWN),
        *[
            (401, SERVER, content)
            for content in (
                b'"forbidden"',
                b'"Unauthorized"',
                b'"authentication failed"',
                b'{"message":"Unauthorized"}',
                b'["authentication failed"]',
                b'{"body":{"name":"authentication failed"}}',
                b"<h1>authentication failed</h1>",
                UNKNOWN[:-1],
                b"\xff",
                b"{" * 2000,
            )
        ],
    ],
)
def test_nothing_else_is(status: int, field: Field, content: bytes) -> None:
    assert rejection(status, b"", [field], content) is None


def test_of_what_was_recorded_only_the_look_up_of_a_token_counts() -> None:
    found: dict[str, set[bool]] = {}
    for path in sorted(RECORDINGS.glob("*/*.json")):
        for exchange in json.loads(path.read_text()).get("exchanges", ()):
            response = exchange["response"]
            if response is None or " 401 " not in response["line"] or "body" not in response:
                continue
            fields = [(name.encode(), value.encode()) for name, value in response["headers"]]
            said = rejection(401, b"", fields, response["body"].encode())
            found.setdefault(response["body"][:20], set()).add(said is not None)
    assert found == {'{"stack":"authentica': {True}, '"Unauthorized"': {False}}


@given(st.binary() | st.recursive(st.text() | st.integers(), st.lists).map(json.dumps))
def test_no_content_makes_the_judgement_fail(content: bytes | str) -> None:
    text = content if isinstance(content, bytes) else content.encode()
    is_failed_lookup(text)
    is_failed_lookup(b'{"name":%b}' % text)
