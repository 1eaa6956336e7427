"""Reading the keys that tokens are signed with from files; what cannot be one is refused."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import InvalidKeyError
from jwt.algorithms import HMACAlgorithm

MAX_FILE_BYTES = 64 * 1024
RSA_BITS = 2048
_HMAC = HMACAlgorithm(HMACAlgorithm.SHA256)


class UnusableKey(Exception):
    """A key cannot be used; the message says why, without a word of the key itself."""


def shared_secret(path: str) -> bytes:
    """The secret in a file, without the line break at its end.

    Raises:
        UnusableKey: it cannot be read, is empty, or is no secret but a public key.
    """
    return checked_secret(content_of(path).rstrip(b"\r\n"))


def checked_secret(secret: bytes) -> bytes:
    """
    Raises:
        UnusableKey: it is empty, or everybody may know it: it is a public key or a certificate.
    """
    if not secret:
        raise UnusableKey("there is no secret in it")
    try:
        return _HMAC.prepare_key(secret)
    except InvalidKeyError:
        raise UnusableKey("it is a public key or a certificate, no secret") from None


def public_key(path: str) -> RSAPublicKey:
    """The RSA public key in a PEM file.

    Raises:
        UnusableKey: it cannot be read, or has no such key.
    """
    try:
        key = load_pem_public_key(content_of(path))
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("there is no public key in PEM in it") from None
    if not isinstance(key, RSAPublicKey):
        raise UnusableKey("its key is not for RSA")
    if not is_long_enough(key):
        raise UnusableKey(f"its key has less than {RSA_BITS} bits (RFC 7518, 3.3)")
    return key


def is_long_enough(key: RSAPublicKey) -> bool:
    """Tell whether signatures by it prove anything (RFC 7518, 3.3)."""
    return key.key_size >= RSA_BITS


def content_of(path: str) -> bytes:
    """The bytes of a file, ``MAX_FILE_BYTES`` at most.

    Raises:
        UnusableKey: it cannot be read, or has more.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as failure:
        raise UnusableKey(failure.strerror or "it cannot be read") from None
    except ValueError:
        raise UnusableKey("it is not the name of a file") from None
    if len(content) > MAX_FILE_BYTES:
        raise UnusableKey(f"it has more than {MAX_FILE_BYTES} bytes")
    return content
