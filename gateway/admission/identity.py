"""Who asks: what a request's token says of itself. Nothing is verified here; the upstream does."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import jwt
from cachetools import LRUCache

from gateway.admission.addresses import address_key
from gateway.fields import values as field_values
from gateway.query import values as query_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import Field

MAX_TOKEN_BYTES = 16 * 1024
"""Longer tokens are not decoded: the upstream takes no line as long."""
MAX_NAME_LENGTH = 255
UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request says it comes from. It holds no token."""

    key: bytes
    """What budgets are counted under, 16 bytes: a hash of the whole token, without one of the
    client's address."""
    customer: str = ""
    """The name of the organization the token names, empty where it names none."""
    user: str = ""
    credential: str = ""
    """The kind of credential the token says it is, such as "user" or "integration"."""
    token_hash: bytes | None = None
    """A hash of the whole token, 16 bytes; None without a token."""
    is_verified: bool = False
    """The token's signature was checked, so that the names are true."""

    @property
    def is_anonymous(self) -> bool:
        return self.token_hash is None


def token_hash(presented: bytes) -> bytes:
    """The 16 bytes that stand for a token."""
    return blake2b(presented, digest_size=16).digest()


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
        self._accepted: LRUCache[bytes, None] = LRUCache(size)

    def identify(self, query: str, fields: Iterable[Field], address: str) -> Identity:
        """The identity behind a request's raw query and fields, from a client's address."""
        presented = token(query, fields)
        if not presented:
            return Identity(address_key(address))
        key = token_hash(presented)
        identity = self._known.get(key)
        if identity is None:
            identity = Identity(key, customer_claimed(presented), token_hash=key)
            self._known[key] = identity
        return identity

    def is_accepted(self, identity: Identity) -> bool:
        """Whether the upstream is known to take its token."""
        return identity.token_hash in self._accepted

    def answered(self, identity: Identity, status: int) -> None:
        """Take note of how the upstream answered a request."""
        if identity.token_hash is None:
            return
        if status == UNAUTHORIZED:
            self._accepted.pop(identity.token_hash, None)
        else:
            self._accepted[identity.token_hash] = None
