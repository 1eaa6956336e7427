"""Who asks: what a request's token says of itself. Nothing is verified here; the upstream does."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import jwt
from cachetools import LRUCache

from gateway.fields import values as field_values
from gateway.query import values as query_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import Field

MAX_TOKEN_BYTES = 16 * 1024
"""Longer tokens are not decoded: the upstream takes no line as long."""
MAX_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token claims to be. It holds no token."""

    key: bytes | None
    """A hash of the whole token, 16 bytes; None without a token."""
    customer: str
    """The name of the token's organization, empty where it names none."""


ANONYMOUS = Identity(None, "")


def is_customer_name(name: str) -> bool:
    """Whether the name can stand as one segment of an upstream path."""
    return 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable() and name not in {".", ".."}


def token(query: str, fields: Iterable[Field]) -> bytes:
    """The request's token, from ``access_token`` or ``Authorization: Bearer``; empty if none."""
    for value in query_values(query, "access_token"):
        if value:
            return value.encode("utf-8", "surrogatepass")
    for line in field_values(fields, b"authorization"):
        scheme, _, credentials = line.strip().partition(b" ")
        if scheme.lower() == b"bearer" and (found := credentials.strip()):
            return found
    return b""


def customer_claimed(presented: bytes) -> str:
    """The token's ``org_uuid``, which is the organization's name; empty if it has none."""
    if len(presented) > MAX_TOKEN_BYTES:
        return ""
    try:
        claims = jwt.decode(presented, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
        return ""
    name = claims.get("org_uuid")
    return name if isinstance(name, str) and is_customer_name(name) else ""


class Identities:
    """Reads each token once: what it said is kept under the token's hash, ``size`` at most."""

    def __init__(self, size: int = 4096) -> None:
        self._known: LRUCache[bytes, Identity] = LRUCache(size)

    def identify(self, query: str, fields: Iterable[Field]) -> Identity:
        """The identity behind a request's raw query and fields."""
        presented = token(query, fields)
        if not presented:
            return ANONYMOUS
        key = blake2b(presented, digest_size=16).digest()
        identity = self._known.get(key)
        if identity is None:
            identity = self._known[key] = Identity(key, customer_claimed(presented))
        return identity
