"""What makes two requests with a key the same one: who asks, the key, and what is asked for. Pure.

Hashes and secrets are made here so that whoever reads where keys are kept learns nothing: the names
are hashes, the fingerprints are keyed with what only repetitions know, and what is sealed opens
with what the repeater presents anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from gateway.admission.identity.token import is_token_parameter, presented
from gateway.protocols.http.query import MAX_PAIRS, split
from gateway.sync.jobs.access import credentials
from gateway.sync.keys.state import KeyName

if TYPE_CHECKING:
    from gateway.downstream.exchange import Exchange
    from gateway.protocols.http.query import Query
    from gateway.protocols.theeye.routes import CreateRoute

HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A creating request with a key, as far as keys have to do with it."""

    name: KeyName
    fingerprint: bytes
    """Of method, path, query without the token, and content: ``HASH_BYTES``."""
    common: bytes = field(repr=False)
    """A secret that every repetition by this caller presents, with whatever token."""
    proof: bytes = field(repr=False)
    """The same for those only that present the same token, or task secret."""


def keyed_request(exchange: Exchange, route: CreateRoute, key: str, content: bytes) -> KeyedRequest:
    """Describe a request, all of whose content has come.

    The caller is the task's secret on a route by secret; organization and user, where those are
    verified; else the token. One whose token the gateway cannot tell is whatever credentials it
    sends, and without any the content, where the upstream may find a token.
    """
    path, query = split(exchange.target)
    proof = _proof(exchange, route, path, content)
    identity = exchange.identity
    if not route.by_secret and identity.is_verified:
        caller = _hash(b"user", identity.key)
    else:
        caller = _hash(b"credentials", proof)
    common = b"%d %b%b" % (len(key), key.encode("ascii"), caller)
    said = (
        exchange.client.method.encode("ascii"),
        path.encode("ascii"),
        _without_token(query).encode("ascii"),
        content,
    )
    return KeyedRequest(
        KeyName(caller, _hash(b"key", common)),
        blake2b(_joined(said), digest_size=HASH_BYTES, key=_hash(b"fingerprint", common)).digest(),
        common,
        proof,
    )


def _proof(exchange: Exchange, route: CreateRoute, path: str, content: bytes) -> bytes:
    if route.by_secret:
        return b"task secret " + path.split("/")[-2].encode("ascii")
    client = exchange.client
    if exchange.identity.token_hash is not None:
        return b"token " + presented(exchange.query, client.fields, client.names)
    given = credentials(exchange.query, client.fields)
    fields = [value for _, value in given.fields]
    if given.query or fields:
        return b"credentials " + _joined((given.query.encode("ascii"), *fields))
    return b"content " + content


def _without_token(query: Query) -> str:
    """The parts of a query that are no token, also those that are too many to be read."""
    parts = query.raw.split("&", MAX_PAIRS)
    named = [pair.raw for pair in query.pairs if is_token_parameter(pair.key)]
    tokens = set(named)
    return "&".join(part for part in parts if part not in tokens)


def _joined(parts: tuple[bytes, ...]) -> bytes:
    """All of them, with their lengths, so that no others give the same."""
    return b"".join(b"%d %b" % (len(part), part) for part in parts)


def _hash(purpose: bytes, text: bytes) -> bytes:
    return blake2b(text, digest_size=HASH_BYTES, person=b"idem " + purpose).digest()
