"""Rewrites the fields that say whom a request is forwarded for; believes trusted proxies only."""

from __future__ import annotations

import ipaddress
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.admission.addresses import MAX_LENGTH, parsed
from gateway.protocols.http.fields import (
    end_to_end,
    first,
    has,
    has_length,
    list_members,
    value,
    values,
)
from gateway.protocols.http.host import is_host
from gateway.proxy.max_forwards import COUNTED, forwarded_once, max_forwards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.downstream.request import Client
    from gateway.errors import Field

_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
_FORWARDED: Final = b"x-forwarded-"
_IDS_AT_ONCE = 256
_HOST_LENGTH: Final = 256
"""Longer ones are not kept; no name has as much (RFC 1035, 2.3.4)."""


class Forwarding:
    """Strip, then add. ``trusted_proxies`` are networks in CIDR notation."""

    def __init__(
        self, trusted_proxies: Iterable[str], upstream_host: bytes, *, preserve_host: bool
    ) -> None:
        self._is_trusted = _trusting(trusted_proxies)
        self._host = None if preserve_host else upstream_host
        self._ids: list[str] = []

    def reconfigure(self, trusted_proxies: Iterable[str]) -> None:
        """Believe others, of requests that come from now on."""
        self._is_trusted = _trusting(trusted_proxies)

    def is_trusted(self, address: str) -> bool:
        """Tell whether an address is a trusted proxy's."""
        return len(address) <= MAX_LENGTH and self._is_trusted(address)

    def client_address(self, client: Client) -> str:
        """The client's own address: the right-most hop that no trusted proxy vouches for."""
        address = client.address
        if has(client.names, b"x-forwarded-for"):
            hops = list_members(values(client.fields, b"x-forwarded-for"))
            while hops and self.is_trusted(address):
                address = hops.pop().decode("latin-1")
        return address

    def request_id(self, client: Client) -> str:
        """The id a trusted proxy gave the request, else a new one."""
        if has(client.names, b"x-request-id") and (given := self.given_id(client)):
            return given
        if not self._ids:
            # One system call for many.
            digits = os.urandom(16 * _IDS_AT_ONCE).hex()
            self._ids = [digits[at : at + 32] for at in range(0, len(digits), 32)]
        return self._ids.pop()

    def given_id(self, client: Client) -> str:
        """The id a trusted proxy gave the request, empty without one."""
        inbound = value(client.fields, b"x-request-id")
        if not inbound or not self.is_trusted(client.address):
            return ""
        return inbound.decode("ascii") if _REQUEST_ID.fullmatch(inbound) else ""

    def outbound(self, client: Client, request_id: str) -> list[Field]:
        """The field lines to send upstream, those that frame the content included."""
        host = first(client.fields, client.names, b"host") or b""
        fields = end_to_end(client.fields, client.names)
        if client.method in COUNTED:
            left = max_forwards(client.method, client.fields, client.names)
            fields = fields if left is None else forwarded_once(fields, left)
        claims: list[Field] = []
        if _may_have_claims(client.names):
            claims = fields if self.is_trusted(client.address) else []
            fields = [line for line in fields if _is_kept(line, trusted=bool(claims))]
        fields = self._addressed(fields, host)
        if claims:
            fields += _added_to(fields, claims, client, host)
        else:
            fields += _provenance(client.address, client.scheme, host)
        fields.append((b"X-Request-Id", request_id.encode("ascii")))
        if client.has_content and not has_length(fields):
            fields.append((b"Transfer-Encoding", b"chunked"))
        return fields

    def _addressed(self, fields: list[Field], host: bytes) -> list[Field]:
        """With the ``Host`` to send, where the inbound one stood."""
        sent = self._host or host
        for at, (name, _) in enumerate(fields):
            if len(name) == 4 and name.lower() == b"host":
                fields[at] = (name, sent)
                return fields
        return [(b"Host", sent), *fields]


def _trusting(trusted_proxies: Iterable[str]) -> Callable[[str], bool]:
    networks = tuple(map(_network, trusted_proxies))

    @lru_cache(maxsize=4096)
    def is_trusted(address: str) -> bool:
        found = parsed(address)
        return found is not None and any(found in network for network in networks)

    return is_trusted


def _may_have_claims(names: list[bytes]) -> bool:
    """Tell whether a proxy may say whom it forwards for. Nearly always none does."""
    for name in names:
        if name.startswith(_FORWARDED) or name == b"forwarded":
            return True
    return has(names, b"x-request-id")


def _is_kept(line: Field, *, trusted: bool) -> bool:
    """Tell whether a field stays; those by which a proxy says whom it forwards for are replaced.

    A proxy may pass on as ``X-Forwarded-Host`` whatever its client wrote.
    """
    name = line[0].lower()
    if name in {b"x-request-id", b"x-forwarded-for"}:
        return False
    if not trusted:
        return not (name == b"forwarded" or name.startswith(_FORWARDED))
    return name != b"x-forwarded-host" or all(map(is_host, list_members([line[1]])))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Read a network, of IPv4 as such where it is written as IPv6, as addresses are."""
    network = ipaddress.ip_network(text)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return network if mapped is None else ipaddress.ip_network((mapped, network.prefixlen - 96))


def _provenance(address: str, scheme: str, host: bytes) -> tuple[Field, ...]:
    if len(host) > _HOST_LENGTH:
        return _stated(address, scheme, host)
    return _kept_provenance(address, scheme, host)


def _stated(address: str, scheme: str, host: bytes) -> tuple[Field, ...]:
    fields = (
        (b"X-Forwarded-For", address.encode("ascii")),
        (b"X-Forwarded-Proto", scheme.encode("ascii")),
        (b"X-Forwarded-Host", host),
    )
    return tuple(line for line in fields if line[1])


_kept_provenance: Final = lru_cache(maxsize=1024)(_stated)


def _added_to(kept: list[Field], claims: list[Field], client: Client, host: bytes) -> list[Field]:
    """Make the fields that are added to what is kept of a trusted proxy's claims; with this hop."""
    hops = [*values(claims, b"x-forwarded-for"), client.address.encode("ascii")]
    added = [(b"X-Forwarded-For", b", ".join(list_members(hops)))]
    for name, content in _provenance(client.address, client.scheme, host):
        if name != b"X-Forwarded-For" and value(kept, name.lower()) is None:
            added.append((name, content))
    return added
