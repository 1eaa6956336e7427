"""Tokens and keys for the tests; they protect nothing."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SECRET = "a secret of the tests that is longer than the sixty-four bytes that SHA-512 asks for"


@lru_cache
def rsa_key(name: str) -> RSAPrivateKey:
    """A key of its own for each name, the same for the same."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signed(key: str | RSAPrivateKey = SECRET, algorithm: str = "HS256", **claims: object) -> bytes:
    return jwt.encode(claims, key, algorithm=algorithm).encode()


def signed_by(key_id: str | None, key: RSAPrivateKey, **claims: object) -> bytes:
    """Signed with RS256; it names the key unless that is None."""
    headers = None if key_id is None else {"kid": key_id}
    return jwt.encode(claims, key, algorithm="RS256", headers=headers).encode()


def unsigned(payload: bytes, header: bytes = b'{"alg":"none"}') -> bytes:
    return (
        b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload)) + b"."
    )


def plain(key: RSAPrivateKey, **changes: object) -> dict[str, object]:
    """The public key as a member of a JWKS."""
    return {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), **changes}


def key_set(**keys: RSAPrivateKey) -> bytes:
    """A JWKS with these keys by their ids."""
    members = [plain(key, kid=name, use="sig") for name, key in keys.items()]
    return json.dumps({"keys": members}).encode()


RSA = rsa_key("RSA")
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
ACME = signed(org_uuid="acme", username="ada", user_id="7", iat=0)
UNKNOWN = (
    b'{"stack":"authentication failed: authentication failed","message":"authentication failed",'
    b'"name":"authentication failed","body":"{\\"statusCode\\":401}","statusCode":401}'
)
"""What TheEye answers 401 with where nobody is logged in with a token (recording auth_errors)."""
