"""Reads a token's claims on its bearer, and checks that they are signed. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MAX_TOKEN_BYTES = 16 * 1024
"""Longer tokens are not decoded: the upstream takes no line as long."""
MAX_NAME_LENGTH = 255
_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
"""What a JWS is made of (RFC 7515, 7.1). The library ignores other characters in a signature, and a
token with them may be another one to the upstream."""
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError)


class _Hmac(HMACAlgorithm):
    """The library warns of a short secret at each token; we do once, at the start."""

    def check_key_length(self, key: bytes) -> str | None:  # noqa: ARG002 - any length
        return None


_SIGNATURES = jwt.PyJWS()
_SIGNATURES.unregister_algorithm("HS256")
_SIGNATURES.register_algorithm("HS256", _Hmac(HMACAlgorithm.SHA256))


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the only algorithm that it verifies signatures of."""

    algorithm: str
    material: bytes | PublicKeyTypes = field(repr=False)
    key_id: str | None = None
    """``kid`` in its set; None without one."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A token's own words on how it is signed."""

    key_id: str | None
    algorithm: str


@dataclass(frozen=True, slots=True)
class Claims:
    """Names are at most 255 printable characters, empty where the token has none such."""

    customer: str = ""
    """``org_uuid``: the organization's name."""
    user: str = ""
    """``username``, else ``email``."""
    credential: str = ""
    subject: str = ""
    """``user_id``, which no other user ever gets; else the user's name."""
    expires: float = math.inf
    """``exp`` in seconds since 1970; infinite where there is none, minus that where it is no
    number."""
    begins: float = -math.inf
    """``nbf``, from when on it counts; minus infinite where there is none, infinite where it is no
    number."""


NO_CLAIMS = Claims()


def is_customer_name(name: str) -> bool:
    """Tell whether the name can stand as one segment of an upstream path."""
    return _is_name(name) and name not in {".", ".."}


def claimed(token: bytes) -> Claims:
    """Read what the token says of itself, whoever wrote it."""
    if len(token) > MAX_TOKEN_BYTES:
        return NO_CLAIMS
    try:
        return _read(_SIGNATURES.decode(token, options={"verify_signature": False}))
    except _UNREADABLE:
        return NO_CLAIMS


def verified(token: bytes, key: Key) -> Claims | None:
    """Read the token, None where it is not signed with this key by the key's algorithm.

    When it counts is not judged.
    """
    if len(token) > MAX_TOKEN_BYTES:
        return None
    try:
        return _read(_SIGNATURES.decode(token, key.material, algorithms=[key.algorithm]))  # type: ignore[arg-type]
    except _UNREADABLE:
        return None


def signature(token: bytes) -> Signature:
    """Read how the token says that it is signed.

    Raises:
        ValueError: it is no signed token at all.
    """
    if len(token) > MAX_TOKEN_BYTES or _COMPACT.fullmatch(token) is None:
        raise ValueError
    try:
        header = _SIGNATURES.get_unverified_header(token)
    except _UNREADABLE:
        raise ValueError from None
    key_id, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(algorithm, str):
        raise ValueError
    return Signature(key_id if isinstance(key_id, str) else None, algorithm)


def _read(payload: bytes) -> Claims:
    """
    Raises:
        ValueError, RecursionError: it is no JSON object.
    """
    claims = msgspec.json.decode(payload)
    if not isinstance(claims, dict):
        raise TypeError
    customer = _name(claims, "org_uuid")
    user = _name(claims, "username") or _name(claims, "email")
    return Claims(
        customer if is_customer_name(customer) else "",
        user,
        _name(claims, "credential"),
        _name(claims, "user_id") or user,
        _seconds(claims.get("exp"), without=math.inf),
        _seconds(claims.get("nbf"), without=-math.inf),
    )


def _name(claims: dict[str, Any], claim: str) -> str:
    name = claims.get(claim)
    return name if isinstance(name, str) and _is_name(name) else ""


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()


def _seconds(given: object, without: float) -> float:
    """A time; where it is none, the one at which nothing counts."""
    if given is None:
        return without
    if isinstance(given, bool) or not isinstance(given, int | float):
        return -without
    try:
        return float(given)
    except OverflowError:
        return math.inf if given > 0 else -math.inf
