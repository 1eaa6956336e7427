"""Seals what is stored outside of this process: AES-GCM (NIST SP 800-38D) with keys of a file.

A sealed text is bound to a context: under another one it does not open. Each has a random number of
96 bits; one key is good for 2^32 of them, which are a thousand a second for seven weeks.
"""

from __future__ import annotations

import base64
import secrets
from binascii import Error
from hashlib import blake2b
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.admission.identity.key_files import UnusableKey, content_of

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_BYTES = 32
MAX_KEYS = 8
_KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
OVERHEAD_BYTES = _KEY_ID_BYTES + _NONCE_BYTES + _TAG_BYTES
"""How much longer a sealed text is."""
_FORM = "a key is 32 bytes, as 64 hexadecimal digits or in base64"


class Seal:
    """Seals with the first of its keys, opens with all of them; there is one at least."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.hold(keys)

    def hold(self, keys: Sequence[bytes]) -> None:
        """Have these keys from now on."""
        self._keys = {_key_id(key): AESGCM(key) for key in keys}
        """By id."""
        self._first = _key_id(keys[0])

    def seal(self, text: bytes, context: bytes) -> bytes:
        """The text sealed, ``OVERHEAD_BYTES`` longer."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self._first + nonce + self._keys[self._first].encrypt(nonce, text, context)

    def opened(self, sealed: bytes, context: bytes) -> bytes | None:
        """The text; None where it was sealed with none of the keys, for another context, or
        changed since."""
        key = self._keys.get(sealed[:_KEY_ID_BYTES])
        if key is None or len(sealed) < OVERHEAD_BYTES:
            return None
        nonce = sealed[_KEY_ID_BYTES : _KEY_ID_BYTES + _NONCE_BYTES]
        try:
            return key.decrypt(nonce, sealed[_KEY_ID_BYTES + _NONCE_BYTES :], context)
        except InvalidTag:
            return None


def new_key() -> str:
    """A new key, in the form that a file has it in."""
    return secrets.token_hex(KEY_BYTES)


def read_keys(path: str) -> Sequence[bytes]:
    """The keys in a file, one a line; lines that are empty or begin with ``#`` do not count.

    Raises:
        UnusableKey: it cannot be read, has none, too many, or a line that is no key.
    """
    lines = [line.strip() for line in content_of(path).splitlines()]
    found = [_key(line) for line in lines if line and not line.startswith(b"#")]
    if not found:
        raise UnusableKey(f"there is no key in it; {_FORM}")
    if len(found) > MAX_KEYS:
        raise UnusableKey(f"it has more than {MAX_KEYS} keys")
    return found


def _key(line: bytes) -> bytes:
    for decode in (bytes.fromhex, _of_base64):
        try:
            key = decode(line.decode("ascii"))
        except (ValueError, Error):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise UnusableKey(f"it has a line that is no key; {_FORM}")


def _of_base64(text: str) -> bytes:
    return base64.b64decode(text.translate({ord("-"): "+", ord("_"): "/"}), validate=True)


def _key_id(key: bytes) -> bytes:
    """A hash of the key, which tells nothing of it."""
    return blake2b(key, digest_size=_KEY_ID_BYTES, person=b"seal key").digest()
