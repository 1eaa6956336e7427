"""The token that operators show, from its file."""

from __future__ import annotations

import hmac
import re
import secrets

from gateway.admission.identity.key_files import UnusableKey, content_of

MIN_CHARACTERS = 22
"""What 128 random bits take in base64."""
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
"""What fits behind ``Bearer`` (RFC 6750, 2.1)."""


class OperatorToken:
    """The token in a file, as a keyed hash only: comparing takes the same time whatever is shown.

    Raises:
        UnusableKey: the file cannot be read, or has no token that will do.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._key = secrets.token_bytes(32)
        self._hash = self._hashed(operator_token(path))

    def matches(self, shown: bytes) -> bool:
        """Tell whether this is the token."""
        return hmac.compare_digest(self._hashed(shown), self._hash)

    def read_again(self) -> bytes:
        """The token that the file has now, as ``take`` wants it.

        Raises:
            UnusableKey
        """
        return self._hashed(operator_token(self._path))

    def take(self, hashed: bytes) -> bool:
        """Go on with a token that was read; whether it is another one."""
        is_other = hashed != self._hash
        self._hash = hashed
        return is_other

    def _hashed(self, token: bytes) -> bytes:
        return hmac.digest(self._key, token, "sha256")


def operator_token(path: str) -> bytes:
    """The token in a file, without the line break at its end.

    Raises:
        UnusableKey: the file cannot be read, or what is in it can be no token, or be guessed.
    """
    token = content_of(path).rstrip(b"\r\n")
    if not token:
        raise UnusableKey("there is no token in it")
    if _TOKEN.fullmatch(token) is None:
        raise UnusableKey("a token has letters, digits and ._~+/-, with = at its end at most")
    if len(token) < MIN_CHARACTERS:
        raise UnusableKey(
            f"the token has less than {MIN_CHARACTERS} characters and could be guessed"
        )
    return token
