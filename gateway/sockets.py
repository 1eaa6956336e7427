"""Sockets: addresses to listen on before there is anybody who accepts, and a hard end."""

from __future__ import annotations

import asyncio
import socket
import struct

BACKLOG = 1024
"""Connections that wait to be accepted."""
_NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends a reset, which no peer can take for a clean end."""


async def bound(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of ``host``, as ``create_server`` has them, not listening yet.

    Raises:
        OSError: one of the addresses cannot be had.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    sockets = [sock.dup() for sock in server.sockets]
    server.close()
    return sockets


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
