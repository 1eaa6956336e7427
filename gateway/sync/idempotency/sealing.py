"""Seals what is kept of a creation, with keys that only its repetitions can derive. Pure.

Two layers, each AES-GCM (NIST SP 800-38D) under a key of its own (HKDF, RFC 5869): the job's id and
organization open for every repetition by the same caller, the reply only for one that presents the
same token, or task secret. Whoever reads where keys are kept opens neither.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.upstream.messages.messages import UpstreamResponse

if TYPE_CHECKING:
    from gateway.sync.idempotency.keyed_request import KeyedRequest

REPLY_BYTES = 16 * 1024
"""A larger reply is not kept: the job is read anew for who repeats the request."""
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Creation:
    """The job that a key has made, as far as a repetition may know."""

    job_id: str
    """Empty where the reply names none in a form that can be read here."""
    customer: str
    reply: UpstreamResponse | None = field(default=None, repr=False)
    """The upstream's reply to the first request; None where it was large, or came to another
    token."""


class _Reply(msgspec.Struct, array_like=True):
    status: int
    reason: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    content: bytes


class _Sealed(msgspec.Struct, array_like=True):
    job_id: str
    customer: str
    reply: bytes
    """Sealed once more; empty where it is not kept."""


_reply_decoder = msgspec.msgpack.Decoder(_Reply)
_decoder = msgspec.msgpack.Decoder(_Sealed)


def sealed(creation: Creation, request: KeyedRequest) -> bytes:
    """The creation, for repetitions of the request."""
    reply = creation.reply
    inner = b""
    if reply is not None and len(reply.content) <= REPLY_BYTES:
        parts = _Reply(reply.status, reply.reason, tuple(reply.fields), reply.content)
        inner = _seal(msgspec.msgpack.encode(parts), request.proof, request)
    outer = _Sealed(creation.job_id, creation.customer, inner)
    return _seal(msgspec.msgpack.encode(outer), b"", request)


def opened(content: bytes, request: KeyedRequest) -> Creation | None:
    """What was sealed for the request; None where it was for another, or has been changed."""
    try:
        outer = _decoder.decode(_open(content, b"", request))
    except (InvalidTag, ValueError, msgspec.DecodeError):
        return None
    try:
        inner = _reply_decoder.decode(_open(outer.reply, request.proof, request))
    except (InvalidTag, ValueError, msgspec.DecodeError):
        return Creation(outer.job_id, outer.customer)
    reply = UpstreamResponse(inner.status, inner.reason, inner.fields, inner.content)
    return Creation(outer.job_id, outer.customer, reply)


def _seal(text: bytes, proof: bytes, request: KeyedRequest) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(proof, request).encrypt(nonce, text, request.fingerprint)


def _open(text: bytes, proof: bytes, request: KeyedRequest) -> bytes:
    """
    Raises:
        InvalidTag: it was not sealed with this.
        ValueError: it is too short for that.
    """
    nonce, rest = text[:_NONCE_BYTES], text[_NONCE_BYTES:]
    return _cipher(proof, request).decrypt(nonce, rest, request.fingerprint)


def _cipher(proof: bytes, request: KeyedRequest) -> AESGCM:
    derived = HKDF(SHA256(), 32, salt=request.name.digest, info=b"idempotency " + request.common)
    return AESGCM(derived.derive(proof + request.common))
