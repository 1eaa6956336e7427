"""Finds a request's token by TheEye's rules, which are those of passport-http-bearer and qs.

TheEye takes the credentials of ``Authorization: Bearer``, the query's ``access_token`` or that of a
JSON or form content, and answers 401 where there are two of them. The content is not looked into
here: a request whose only token is there counts as one without.

What a request is counted under must be the token that TheEye sees, or nobody could be held to a
budget: so wherever the two might differ there is none. TheEye writes a token as it is into the
address at which it asks who is logged in with it. ``eyJ%61`` there is the same session as ``eyJa``,
and ``eyJa&x=1`` too: a token with such characters has many spellings, and only ``is_plain`` ones
have one.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from gateway.protocols.http.fields import first
from gateway.protocols.http.query import MAX_PAIRS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import Field
    from gateway.protocols.http.query import Query

HASH_BYTES: Final = 16
_PARAMETER: Final = "access_token"
_ESCAPED = re.compile(
    "".join(f"(?:{c}|%{ord(c) >> 4:x}[{ord(c) & 15:x}{ord(c) & 15:X}])" for c in _PARAMETER)
)
"""The parameter's name with any of its letters percent-encoded."""
_SIMPLE = re.compile(rf"(?:^|&){_PARAMETER}=([A-Za-z0-9._-]+)(?:&|$)")
_PLAIN = re.compile(rb"[A-Za-z0-9._~/=-]+")
"""b64token (RFC 6750, 2.1) without the plus, which is a space in a query."""
_ONE = re.compile(rf"(?:{_PARAMETER}|\[{_PARAMETER}\])(?:\[1?[0-9]?\]){{0,4}}")
"""Keys under which qs finds one value: itself, or in lists of lists, which TheEye writes as their
only member. Indexes of two digits that begin with another one, and more brackets, differ between
versions of qs, or make objects."""


def presented(query: Query, fields: Sequence[Field], names: list[bytes]) -> bytes:
    """The request's token; empty where it has none, several, or one that cannot be told for sure.

    ``names`` are those of ``fields`` in lower case.
    """
    in_query = _in_query(query) if query.raw else b""
    field = first(fields, names, b"authorization")
    if field is not None:
        # Node drops all lines of this field but the first.
        in_field = _bearer(field)
        if in_field is not None:
            return in_field if in_query == b"" else b""
    return in_query or b""


def is_plain(token: bytes) -> bool:
    """Tell whether no other token stands for the same session: see the module's head."""
    return _PLAIN.fullmatch(token) is not None


def token_hash(token: bytes) -> bytes:
    """The hash by which a token is known here."""
    return blake2b(token, digest_size=HASH_BYTES).digest()


def is_token_parameter(key: str) -> bool:
    """Tell whether the upstream may find a token under this (decoded) key."""
    return key == _PARAMETER or key.startswith((f"{_PARAMETER}[", f"[{_PARAMETER}]"))


def _in_query(query: Query) -> bytes | None:
    """The query's token; empty where it has none, None where it has something else there."""
    # Nearly always there is one that needs no decoding.
    raw = query.raw
    if len(raw) <= MAX_PAIRS and "%" not in raw and raw.count(_PARAMETER) == 1:
        simple = _SIMPLE.search(raw)
        if simple is not None:
            return simple[1].encode("ascii")
    return _decoded(query)


def _decoded(query: Query) -> bytes | None:
    raw = query.raw
    if _PARAMETER not in raw and ("%" not in raw or _ESCAPED.search(raw) is None):
        return b""
    found = [pair for pair in query.pairs if is_token_parameter(pair.key)]
    if not found or (len(found) == 1 and found[0].key == _PARAMETER and not found[0].value):
        return b""
    if len(found) == 1 and found[0].value and _ONE.fullmatch(found[0].key):
        return found[0].value.encode("utf-8", "surrogatepass")
    return None


def _bearer(field: bytes) -> bytes | None:
    """The bearer's credentials, empty where they are malformed, None where the field is empty or
    has another scheme."""
    field = field.strip(b" \t")
    parts = field.split(b" ")
    if len(parts) != 2:
        return b"" if field else None
    return parts[1] if parts[0].lower() == b"bearer" else None
