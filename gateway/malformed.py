"""Why what a client sent is no request, from what aiohttp's parser says of it."""

from __future__ import annotations

from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from gateway.errors import BadRequest, FieldsTooLarge, GatewayError, TargetTooLong


class HeadTooLong(BadHttpMessage):
    """Its fields, or trailers, have too much together; the message is for the client."""


def malformed(cause: BaseException, target_bytes: int) -> GatewayError:
    """What to answer. By the bound of ``target_bytes`` one can tell what was too long."""
    if isinstance(cause, HeadTooLong):
        return FieldsTooLarge(cause.message)
    if not isinstance(cause, LineTooLong):
        return BadRequest("The request is not HTTP/1.1 as RFC 9112 has it")
    if cause.args[1] in {target_bytes, str(target_bytes)}:
        return TargetTooLong(f"The request target has more than {target_bytes} bytes")
    return FieldsTooLarge("A field of the request is too long")
