"""One request read and one answer written, over aiohttp's low-level server.

Answers are written as bytes, so that their head is TheEye's to the letter and faults can break them
anywhere; aiohttp goes on managing the connection.
"""

from __future__ import annotations

import re
from typing import cast

from aiohttp import web

from gateway.demo.answers import Reply, coded, encode, unknown_token
from gateway.demo.faults import Fault, FaultKind

CONTENT_BYTES = 16 * 1024 * 1024
"""A request with more content is refused."""

_REFUSED = coded(500, "Internal", "Error: connect ECONNREFUSED 127.0.0.1:6080").reply
_BREAKING = frozenset({FaultKind.CLOSE, FaultKind.GARBAGE, FaultKind.CUT})
_GARBAGE = b"\x00\x01this is no HTTP\x02\x03\r\n\r\n"
_GZIP = re.compile(r"(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?", re.IGNORECASE)


class _Written:
    """What aiohttp gets for a response: everything is written already."""

    __slots__ = ("keep_alive",)

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to prepare."""

    async def write_eof(self) -> None:
        """Nothing is left to write."""


async def content_of(request: web.BaseRequest) -> bytes:
    """The request's content, inflated. Raises RefusedError where it is too long."""
    transport = request.transport
    if transport is not None and request.headers.get("Expect", "").lower() == "100-continue":
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    content = bytearray()
    async for chunk in request.content.iter_any():
        content += chunk
        if len(content) > CONTENT_BYTES:
            raise coded(413, "PayloadTooLarge", "Request body size exceeds limit")
    return bytes(content)


def write(request: web.BaseRequest, reply: Reply, fault: Fault | None) -> web.StreamResponse:
    """Writes an answer, or what the fault makes of it."""
    transport = request.transport
    is_broken = fault is not None and fault.kind in _BREAKING
    if transport is not None:
        transport.write(_broken(request, reply, fault) if fault else _whole(request, reply))
        if is_broken:
            transport.close()
    keep_alive = request.keep_alive and not is_broken
    return cast("web.StreamResponse", _Written(keep_alive=keep_alive))


def _broken(request: web.BaseRequest, reply: Reply, fault: Fault) -> bytes:
    if fault.kind is FaultKind.CLOSE:
        return b""
    if fault.kind is FaultKind.GARBAGE:
        return _GARBAGE
    whole = _whole(request, _replaced(reply, fault))
    if fault.kind is FaultKind.CUT:
        head, _, content = whole.partition(b"\r\n\r\n")
        return b"%b\r\n\r\n%b" % (head, content[: len(content) // 2])
    return whole


def _replaced(reply: Reply, fault: Fault) -> Reply:
    match fault.kind:
        case FaultKind.REFUSE:
            return _REFUSED
        case FaultKind.STATUS:
            return Reply(fault.status, "a fault that was asked for")
        case FaultKind.LOOKUP:
            return unknown_token(fault.status).reply
    return reply


def _whole(request: web.BaseRequest, reply: Reply) -> bytes:
    return encode(
        reply,
        request.headers.get("Origin"),
        zipped=_takes_gzip(request.headers.get("Accept-Encoding", "")),
        close=not request.keep_alive,
        is_head=request.method == "HEAD",
    )


def _takes_gzip(accepted: str) -> bool:
    return any(_GZIP.fullmatch(coding.strip()) for coding in accepted.split(","))
