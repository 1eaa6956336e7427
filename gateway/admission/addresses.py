"""Client addresses, and the keys under which they are counted."""

from __future__ import annotations

from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

IPV6_PREFIX_BITS = 64
"""One customer of a provider has at least so much of an IPv6 address to choose from."""
MAX_LENGTH: Final = 64
"""No address is longer; what is comes from a proxy that was told nonsense."""


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """The address without its port, which some proxies put into ``X-Forwarded-For``; IPv4 as such
    where it is written as IPv6. None where it is no address."""
    try:
        found = ip_address(_without_port(address))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def network(address: str) -> str:
    """The address, of IPv6 the first half; what is no address stays as it is."""
    found = parsed(address)
    if found is None:
        return _without_port(address)
    if not isinstance(found, IPv6Address):
        return str(found)
    host_bits = found.max_prefixlen - IPV6_PREFIX_BITS
    return f"{IPv6Address(int(found) >> host_bits << host_bits)}/{IPV6_PREFIX_BITS}"


def address_key(address: str) -> bytes:
    """The 16 bytes under which an address's budgets are counted."""
    text = network(address).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16, person=b"address").digest()


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, port = address.partition(":")
    return host if port.isdigit() else address
