"""Sockets: addresses to listen on before there is anybody who accepts, and a hard end."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from typing import Any

EVERY_INTERFACE = "::"
"""As a host to listen on: all addresses of this machine, of IPv4 and IPv6."""
_MAPPED = "::ffff:"
"""What IPv4 addresses begin with where they are written as IPv6 (RFC 4291, 2.5.5.2)."""
_NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends a reset, which no peer can take for a clean end."""


async def bound(
    host: str, port: int, made: type[socket.socket] = socket.socket
) -> list[socket.socket]:
    """A socket for each address of ``host``, not listening yet. ``"::"`` is one socket, which takes
    IPv4 as well; where there is no IPv6 it is one of IPv4. ``made`` is what they are.

    Raises:
        OSError: one of the addresses cannot be had.
    """
    if host == EVERY_INTERFACE:
        return [_dual_stack(port, made)]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            sockets.append(_taken(made(family, socket.SOCK_STREAM), address))
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _dual_stack(port: int, made: type[socket.socket]) -> socket.socket:
    try:
        sock = made(socket.AF_INET6, socket.SOCK_STREAM)
        return _taken(sock, (EVERY_INTERFACE, port), is_dual_stack=True)
    except OSError as failure:
        if failure.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
            raise
        return _taken(made(socket.AF_INET, socket.SOCK_STREAM), ("0.0.0.0", port))


def _taken(sock: socket.socket, address: Any, *, is_dual_stack: bool = False) -> socket.socket:
    try:
        sock.setblocking(False)
        if os.name == "posix":
            # On Windows it would let others take the same address.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not is_dual_stack)
        sock.bind(address)
    except OSError as failure:
        sock.close()
        host, port = address[:2]
        reason = (failure.strerror or "").lower()
        raise OSError(failure.errno, f"{host} port {port}: {reason}") from None
    return sock


def peer_address(peer: object) -> str:
    """The address in what a transport calls ``peername``, without its port; IPv4 as such where it
    came to a socket of both. Empty for a peer that has none.
    """
    if not isinstance(peer, tuple):
        return ""
    address = str(peer[0])
    mapped = address.removeprefix(_MAPPED)
    return mapped if "." in mapped else address


def url_of(address: tuple[str, int] | tuple[str, int, int, int], scheme: str = "http") -> str:
    """The origin that listens there."""
    host, port = address[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def reset(transport: asyncio.Transport) -> None:
    """End a connection at once, and so that it cannot seem complete."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
