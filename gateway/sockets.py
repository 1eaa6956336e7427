"""Addresses to listen on, before there is anybody who accepts."""

from __future__ import annotations

import asyncio
import socket

BACKLOG = 1024
"""Connections that wait to be accepted."""


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
