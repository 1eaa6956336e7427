"""What of a client's address its budgets and connections are counted under."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address

IPV6_PREFIX_BITS = 64
"""One customer of a provider has at least so much of an IPv6 address to choose from."""


MAX_CHARACTERS = 64
"""More is no address: what stands in X-Forwarded-For may be anything."""


def network(address: str) -> str:
    """The address, of IPv6 the first half; what is no address stays as it is."""
    return _network(address[:MAX_CHARACTERS])


def address_key(address: str) -> bytes:
    """The 16 bytes under which an address's budgets are counted."""
    return _key(address[:MAX_CHARACTERS])


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    host_bits = parsed.max_prefixlen - IPV6_PREFIX_BITS
    return f"{IPv6Address(int(parsed) >> host_bits << host_bits)}/{IPV6_PREFIX_BITS}"


@lru_cache(maxsize=4096)
def _key(address: str) -> bytes:
    return blake2b(_network(address).encode("utf-8", "replace"), digest_size=16).digest()
