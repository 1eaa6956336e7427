"""Where a request's token is: TheEye's rules, which are those of passport-http-bearer.

A token is the query's ``access_token`` or the credentials of ``Authorization: Bearer``, never both.
One in the content is not looked for.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING

from gateway.query import MAX_PAIRS, pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import Field

HASH_BYTES = 16
_PARAMETER = "access_token"
_ESCAPED = re.compile(
    "".join(f"(?:{c}|%{ord(c) >> 4:x}[{ord(c) & 15:x}{ord(c) & 15:X}])" for c in _PARAMETER)
)
"""The parameter's name with any of its letters percent-encoded."""
_PLAIN = re.compile(rf"(?:^|&){_PARAMETER}=([A-Za-z0-9._-]+)(?:&|$)")


def presented(query: str, fields: Sequence[Field], names: Sequence[bytes]) -> bytes:
    """The request's token; empty where it has none that the upstream would look up.

    Of a request with a token in both places the upstream takes none: it answers 401.
    ``names`` are those of ``fields`` in lower case.
    """
    in_query = _in_query(query) if query else b""
    if b"authorization" not in names:
        return in_query
    # Node drops all lines of this field but the first.
    in_field = _bearer(fields[names.index(b"authorization")][1])
    return b"" if in_query and in_field is not None else in_query or in_field or b""


def token_hash(token: bytes) -> bytes:
    """What a token is known by here."""
    return blake2b(token, digest_size=HASH_BYTES).digest()


def is_token_parameter(key: str) -> bool:
    """Whether the upstream finds a token under this (decoded) key: ``access_token[]`` is a list."""
    return key == _PARAMETER or key.startswith(f"{_PARAMETER}[")


def _in_query(query: str) -> bytes:
    # Nearly always there is one that needs no decoding.
    if len(query) <= MAX_PAIRS and "%" not in query and query.count(_PARAMETER) == 1:
        plain = _PLAIN.search(query)
        if plain is not None:
            return plain[1].encode("ascii")
    return _decoded(query)


def _decoded(query: str) -> bytes:
    if _PARAMETER not in query and ("%" not in query or _ESCAPED.search(query) is None):
        return b""
    values = [pair.value for pair in pairs(query) if is_token_parameter(pair.key)]
    # Several are a list, which TheEye writes with commas and looks up as one token.
    return ",".join(values).encode("utf-8", "surrogatepass")


def _bearer(field: bytes) -> bytes | None:
    """The bearer's credentials, empty where they are malformed, None for another scheme."""
    parts = field.strip(b" \t").split(b" ")
    if len(parts) != 2:
        return b""
    return parts[1] if parts[0].lower() == b"bearer" else None
