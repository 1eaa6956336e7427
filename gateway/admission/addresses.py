"""What of a client's address it is counted under."""

from __future__ import annotations

from hashlib import blake2b
from ipaddress import IPv6Address, ip_address

IPV6_PREFIX_BITS = 64
"""One customer of a provider has at least so much of an IPv6 address to choose from."""
MAX_LENGTH = 64
"""No address is longer; what is comes from a proxy that was told nonsense."""


def network(address: str) -> str:
    """The address, of IPv6 the first half; what is no address stays as it is.

    A port, which some proxies put into ``X-Forwarded-For``, does not count.
    """
    address = _without_port(address)
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


def address_key(address: str) -> bytes:
    """The 16 bytes under which an address's budgets are counted."""
    text = network(address).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16, person=b"address").digest()


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, port = address.partition(":")
    return host if port.isdigit() else address
