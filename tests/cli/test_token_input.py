from __future__ import annotations

import io

import pytest

from gateway.cli.token_input import MAX_TOKEN_BYTES, NoToken, read_token


def given(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content))


@pytest.mark.parametrize("content", [b"a.very.secret", b"  a.very.secret\r\n"])
def test_space_around_a_token_is_not_part_of_it(content: bytes) -> None:
    assert read_token(given(content)) == b"a.very.secret"


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_no_token_is_an_error(content: bytes) -> None:
    with pytest.raises(NoToken, match="no token on stdin"):
        read_token(given(content))


@pytest.mark.parametrize(
    "content", [b"Bearer a.very.secret", b"one\ntwo\n", b"a\tb", b"a" * (MAX_TOKEN_BYTES + 1)]
)
def test_what_is_not_a_single_token_is_refused_without_showing_it(content: bytes) -> None:
    with pytest.raises(NoToken) as refused:
        read_token(given(content))
    assert str(refused.value) == "stdin must have one token and nothing else"
