from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.admission.identity.key_files import UnusableKey
from gateway.ops.access.token import MIN_CHARACTERS, OperatorToken, operator_token

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = b"AbC0123456789._~+/-abc=="


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_token_is_the_files_content_without_its_last_line_break(file: Path, end: bytes) -> None:
    file.write_bytes(TOKEN + end)
    assert operator_token(str(file)) == TOKEN
    token = OperatorToken(str(file))
    assert token.matches(TOKEN)
    for other in (TOKEN[:-1], TOKEN + b"x", TOKEN.lower(), b"", TOKEN + b"\n"):
        assert not token.matches(other)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there is no token in it"),
        (b"\n", "there is no token in it"),
        (b"x" * (MIN_CHARACTERS - 1), "less than 22 characters"),
        (b"x" * 30 + b" " + b"y" * 30, "letters, digits"),
        (b"x" * 30 + b"\n" + b"y" * 30, "letters, digits"),
        ("ñ".encode() * 30, "letters, digits"),
        (b"x" * 70_000, "65536 bytes"),
    ],
)
def test_token_that_could_be_guessed_or_not_be_sent_is_refused(
    file: Path, content: bytes, said: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(UnusableKey, match=said) as caught:
        OperatorToken(str(file))
    assert "xxx" not in str(caught.value)


def test_missing_file_is_refused(file: Path) -> None:
    with pytest.raises(UnusableKey, match="No such file"):
        operator_token(str(file))


def test_renewed_token_replaces_the_one_so_far(file: Path) -> None:
    file.write_bytes(TOKEN)
    token = OperatorToken(str(file))
    assert not token.take(token.read_again())
    file.write_bytes(b"short")
    with pytest.raises(UnusableKey):
        token.read_again()
    assert token.matches(TOKEN)
    file.write_bytes(TOKEN.swapcase())
    assert token.take(token.read_again())
    assert token.matches(TOKEN.swapcase())
    assert not token.matches(TOKEN)


def test_token_itself_is_not_kept(file: Path) -> None:
    file.write_bytes(TOKEN)
    assert TOKEN not in b"".join(
        value for value in vars(OperatorToken(str(file))).values() if isinstance(value, bytes)
    )
