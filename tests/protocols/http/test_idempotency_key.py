"""The field Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07, 2.1)."""

from __future__ import annotations

import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.protocols.http.idempotency_key import MAX_CHARACTERS, idempotency_key

VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
KEYS = st.text(VISIBLE, min_size=1, max_size=MAX_CHARACTERS)


def quoted(key: str) -> bytes:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.encode("ascii")


@given(KEYS)
def test_rfc_9651_3_3_3_every_visible_key_is_read_as_it_was_quoted(key: str) -> None:
    assert idempotency_key([quoted(key)]) == key


@given(KEYS.filter(lambda key: not key.startswith('"')))
def test_every_visible_key_is_read_bare_too(key: str) -> None:
    assert idempotency_key([key.encode("ascii")]) == key
    assert idempotency_key([key.encode("ascii"), b" " + quoted(key) + b"\t"]) == key


@given(st.lists(st.binary(max_size=300), max_size=3))
def test_any_value_is_a_key_or_refused(lines: list[bytes]) -> None:
    key: str | None = None
    with suppress(BadRequest):
        key = idempotency_key(lines)
    if key is not None:
        assert 1 <= len(key) <= MAX_CHARACTERS
        assert not set(key) - set(VISIBLE)


def test_request_without_the_field_has_no_key() -> None:
    assert idempotency_key([]) is None


@pytest.mark.parametrize(
    "parameters", [b"; a", b";a=1", b"; a=?1;b=token", b';a="x \\" y"', b";*k=:YQ==:"]
)
def test_rfc_9651_3_1_2_parameters_mean_nothing(parameters: bytes) -> None:
    assert idempotency_key([b'"k"' + parameters]) == "k"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b'""',
        b'"',
        b'"a',
        b'a b"',
        b'"a b"',
        b'"a"b"',
        b'"a\\n"',
        b'"a" x',
        b'"a"; =',
        b'"a", "b"',
        b"a b",
        b"a, b",
        "ñ".encode(),
        b'"\xf1"',
        b"a" * 256,
        b'"' + b"a" * 256 + b'"',
        b"a\x7f",
    ],
)
def test_what_is_no_key_is_refused(line: bytes) -> None:
    with pytest.raises(BadRequest, match="1 to 255 visible ASCII characters"):
        idempotency_key([line])


def test_different_keys_are_refused() -> None:
    with pytest.raises(BadRequest, match="different keys"):
        idempotency_key([b"a", b'"b"'])


def test_longest_key_counts_without_its_quotes() -> None:
    key = (string.ascii_letters * 5)[:MAX_CHARACTERS]
    assert idempotency_key([b'"' + key.encode() + b'"']) == key
