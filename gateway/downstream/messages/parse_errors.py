"""Maps parser errors to 400 and 501. Pure."""

from __future__ import annotations

import re

import httptools

from gateway.errors import BadRequest, GatewayError, MethodNotImplemented

_REQUEST_LINE = re.compile(
    rb"[\r\n]*([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})[ ][^ \r\n]+[ ]HTTP/1\.[01]\r\n"
)
"""One that has a method, a target and a version (RFC 9112, 3)."""


def unknown_method(cause: httptools.HttpParserError, received: bytes) -> str:
    """The method of a request that is well-formed but for the parser not knowing its method; empty
    where that is not the cause, or only a part of the line had come.

    ``received``: the head, as far as it came.
    """
    if not isinstance(cause, httptools.HttpParserInvalidMethodError):
        return ""
    found = _REQUEST_LINE.match(received)
    return found[1].decode("ascii") if found else ""


def malformed(method: str) -> GatewayError:
    """What to answer to bytes that are no request; ``method``: as ``unknown_method`` has it."""
    if method:
        return MethodNotImplemented(f"The method {method} is not supported")
    return BadRequest("The request is not HTTP/1.1 as RFC 9112 has it")
