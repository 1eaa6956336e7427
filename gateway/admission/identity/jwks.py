"""A set of keys (JWKS, RFC 7517): which of them verify signatures, and which may have made one.
Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.admission.identity import key_files
from gateway.admission.identity.claims import Key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.admission.identity.claims import Signature

SET_KEYS = 100
MOST_TRIED = 4
"""Of keys for one signature: who makes up tokens must not have many of them computed."""
_ASYMMETRIC = ("RSA", "EC", "OKP")
"""A set is public, so a symmetric key in it, or a private one, is known to everybody."""


class NoKeys(Exception):
    """A document is not a set of keys that can be used; the message says why."""


def keys_in(content: bytes) -> tuple[Key, ...]:
    """The keys of a set that signatures can be verified with, in its order.

    Several may have one id, or none (RFC 7517, 4.5).

    Raises:
        NoKeys: there is none.
    """
    try:
        document = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        raise NoKeys("not JSON") from None
    members = document.get("keys") if isinstance(document, dict) else None
    given = members[:SET_KEYS] if isinstance(members, list) else ()
    found = [_key(member) for member in given if isinstance(member, dict)]
    keys = tuple(key for key in found if key is not None)
    if not keys:
        raise NoKeys("no key for signatures in it")
    return keys


def fitting(keys: Sequence[Key], signature: Signature) -> tuple[Key, ...]:
    """The keys that may have made a signature, the likeliest first.

    They are for its algorithm, and have the id that it names; where none in the set has that, they
    have none. Where it names none they may have any.
    """
    for_algorithm = [key for key in keys if key.algorithm == signature.algorithm]
    named = [key for key in for_algorithm if key.key_id is not None]
    unnamed = [key for key in for_algorithm if key.key_id is None]
    if signature.key_id is None:
        likely = unnamed + named
    elif has_id(keys, signature.key_id):
        likely = [key for key in named if key.key_id == signature.key_id]
    else:
        likely = unnamed
    return tuple(likely[:MOST_TRIED])


def has_id(keys: Sequence[Key], key_id: str) -> bool:
    return any(key.key_id == key_id for key in keys)


def _key(member: dict[str, Any]) -> Key | None:
    is_public = member.get("kty") in _ASYMMETRIC and "d" not in member
    if not is_public or member.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(member)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, NotImplementedError):
        # Others may come with it that are usable (RFC 7517, 5: unknown ones are ignored).
        return None
    if isinstance(key.key, RSAPublicKey) and not key_files.is_long_enough(key.key):
        return None
    name = member.get("kid")
    return Key(key.algorithm_name, key.key, name if isinstance(name, str) else None)
