"""What a forwarded request says about where it came from, and whom we believe about that."""

from __future__ import annotations

import ipaddress
import re
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

from gateway.fields import end_to_end, has_length, list_members, value, values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.downstream import Client
    from gateway.errors import Field

_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
_FORWARDED = b"x-forwarded-"


class Forwarding:
    """Strip, then add. ``trusted_proxies`` are networks in CIDR notation."""

    def __init__(
        self, trusted_proxies: Iterable[str], upstream_host: bytes, *, preserve_host: bool
    ) -> None:
        networks = tuple(ipaddress.ip_network(network) for network in trusted_proxies)

        @lru_cache(maxsize=4096)
        def is_trusted(address: str) -> bool:
            try:
                parsed = ipaddress.ip_address(address)
            except ValueError:
                return False
            return any(parsed in network for network in networks)

        self._is_trusted = is_trusted
        self._host = None if preserve_host else upstream_host

    def client_address(self, client: Client) -> str:
        """The client's own address: the right-most hop that no trusted proxy vouches for."""
        address = client.address
        hops = list_members(values(client.fields, b"x-forwarded-for"))
        while hops and self._is_trusted(address):
            address = hops.pop().decode("latin-1")
        return address

    def request_id(self, client: Client) -> str:
        """The id a trusted proxy gave the request, else a new one."""
        inbound = value(client.fields, b"x-request-id")
        if inbound and self._is_trusted(client.address) and _REQUEST_ID.fullmatch(inbound):
            return inbound.decode("ascii")
        return secrets.token_hex(16)

    def outbound(self, client: Client, request_id: str) -> list[Field]:
        """The field lines to send upstream, those that frame the content included."""
        trusted = self._is_trusted(client.address)
        fields: list[Field] = []
        host = b""
        for name, content in end_to_end(client.fields):
            lowered = name.lower()
            if lowered == b"host":
                host = content
                fields.append((name, self._host or content))
            elif lowered == b"x-request-id" or (
                (lowered.startswith(_FORWARDED) or lowered == b"forwarded")
                and (not trusted or lowered == b"x-forwarded-for")
            ):
                continue
            else:
                fields.append((name, content))
        if not host:
            host = value(client.fields, b"host") or b""
            fields.insert(0, (b"Host", self._host or host))
        fields += self._provenance(client, fields, host, trusted=trusted)
        fields.append((b"X-Request-Id", request_id.encode("ascii")))
        return fields + _framing(client, fields)

    def _provenance(
        self, client: Client, fields: list[Field], host: bytes, *, trusted: bool
    ) -> list[Field]:
        hops = list_members(values(client.fields, b"x-forwarded-for")) if trusted else []
        if client.address:
            hops.append(client.address.encode("ascii"))
        added = [(b"X-Forwarded-For", b", ".join(hops))] if hops else []
        for name, content in (
            (b"X-Forwarded-Proto", client.scheme.encode("ascii")),
            (b"X-Forwarded-Host", host),
        ):
            if content and value(fields, name.lower()) is None:
                added.append((name, content))
        return added


def _framing(client: Client, fields: list[Field]) -> list[Field]:
    """How the content is framed, where ``fields`` do not say it already."""
    if not client.has_content or has_length(fields):
        return []
    length = client.content_length
    if length is None:
        return [(b"Transfer-Encoding", b"chunked")]
    return [(b"Content-Length", b"%d" % length)]
