from __future__ import annotations

import pytest

from gateway.admission.rejection import MOST_BYTES, rejection
from gateway.errors import Answer, Field

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
    kept = rejection(401, b"No", FIELDS, b"{}")
    assert kept == Answer(401, b"{}", (SERVER, TYPE), b"No")


@pytest.mark.parametrize(
    ("status", "field", "content"),
    [
        (403, SERVER, b"{}"),
        (200, SERVER, b"{}"),
        (401, SERVER, b""),
        (401, SERVER, b"x" * MOST_BYTES),
        (401, (b"Content-Encoding", b"gzip"), b"{}"),
    ],
)
def test_nothing_else_is(status: int, field: Field, content: bytes) -> None:
    assert rejection(status, b"", [field], content) is None
