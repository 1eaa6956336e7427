"""The grammar of ``Host``: ``uri-host [ ":" port ]`` (RFC 9110, 7.2; RFC 3986, 3.2.2)."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from gateway.stores.memo import Memo

_NAME = re.compile(
    rb"[A-Za-z0-9._~!$&'()*+;=-]*+"
    rb"(?:%[0-9A-Fa-f]{2}[A-Za-z0-9._~!$&'()*+;=-]*+)*+"
    rb"(?<!^)(?::[0-9]*+)?"
)
"""A ``reg-name`` or an IPv4 address, not empty. Without the comma, which the grammar admits: in
``X-Forwarded-Host`` it would make several of it."""
_LITERAL = re.compile(rb"\[([0-9A-Fa-f:.]{2,45})\](?::[0-9]*+)?")
_FUTURE = re.compile(rb"\[[vV][0-9A-Fa-f]++\.[A-Za-z0-9._~!$&'()*+;=:-]++\](?::[0-9]*+)?")

_KEPT_LENGTH: Final = 256
"""What was found of longer ones is not kept; no name has as much (RFC 1035, 2.3.4)."""


def is_host(value: bytes) -> bool:
    """Tell whether it names one host, with or without a port."""
    return _is_host(value) if len(value) > _KEPT_LENGTH else _hosts.of(value)


def _is_host(value: bytes) -> bool:
    if _NAME.fullmatch(value):
        return True
    literal = _LITERAL.fullmatch(value)
    if literal is None:
        return _FUTURE.fullmatch(value) is not None
    try:
        IPv6Address(literal[1].decode("ascii"))
    except AddressValueError:
        return False
    return True


_hosts: Final = Memo(_is_host, 1024)
