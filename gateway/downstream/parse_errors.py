"""Why what a client sent is no request, from what aiohttp's parser says of it."""

from __future__ import annotations

import re

from aiohttp.http_exceptions import BadHttpMessage, BadHttpMethod, LineTooLong

from gateway.errors import (
    BadRequest,
    FieldsTooLarge,
    GatewayError,
    MethodNotImplemented,
    TargetTooLong,
)

_REQUEST_LINE = re.compile(
    r"""\n\s+b['"]((?:[!#$%&*+.^_`|~0-9A-Za-z-]|\\?'){1,64})[ ][^ ]+[ ]HTTP/1\.[01]['"]\n"""
)
"""One that has a method, a target and a version (RFC 9112, 3), as the parser's words show it."""


class HeadTooLong(BadHttpMessage):
    """Its fields, or trailers, have too much together; the message is for the client."""


def malformed(cause: BaseException, target_bytes: int) -> GatewayError:
    """What to answer. By the bound of ``target_bytes`` one can tell what was too long."""
    if isinstance(cause, HeadTooLong):
        return FieldsTooLarge(cause.message)
    method = unknown_method(cause)
    if method:
        return MethodNotImplemented(f"The method {method} is not supported")
    if not isinstance(cause, LineTooLong):
        return BadRequest("The request is not HTTP/1.1 as RFC 9112 has it")
    if cause.args[1] in {target_bytes, str(target_bytes)}:
        return TargetTooLong(f"The request target has more than {target_bytes} bytes")
    return FieldsTooLarge("A field of the request is too long")


def unknown_method(cause: BaseException) -> str:
    """The method of a request that is well-formed but for the parser not knowing its method; empty
    where that is not the cause, or only a part of the line had come.
    """
    if not isinstance(cause, BadHttpMethod):
        return ""
    found = _REQUEST_LINE.search(cause.message)
    return found[1].replace("\\", "") if found else ""
