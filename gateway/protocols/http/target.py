"""The request target (RFC 9112, 3.2): which may be sent upstream, and in which form. Pure."""

from __future__ import annotations

import re

from gateway.errors import BadRequest

_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)


def origin_form(method: str, target: str, host: bytes) -> str:
    """The target to send upstream, byte for byte (RFC 9112, 3.2).

    An absolute-form target is taken only for the authority that ``Host`` names.

    Raises:
        BadRequest: neither origin-form, nor our own absolute-form, nor ``OPTIONS *``.
    """
    if method == "CONNECT":
        raise BadRequest("This is no proxy to be tunnelled through")
    if not _is_sendable(target):
        raise BadRequest("The request target has characters that must be percent-encoded")
    if target.startswith("/"):
        return target
    if target == "*" and method == "OPTIONS":
        return target
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not host or match[1].lower() != host.decode("latin-1").lower():
        raise BadRequest("The request target must be a path on this server")
    rest = match[2]
    return rest if rest.startswith("/") else f"/{rest}"


def _is_sendable(target: str) -> bool:
    """Visible ASCII and no fragment."""
    return target.isascii() and target.isprintable() and " " not in target and "#" not in target
