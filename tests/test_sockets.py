"""Addresses that are taken before anybody accepts connections there."""

from __future__ import annotations

import socket

import pytest

from gateway.sockets import bound, url_of
from tests.e2e.harness import connected


async def test_bound_socket_refuses_connections_until_it_listens() -> None:
    [sock] = await bound("127.0.0.1", 0)
    with sock:
        url = url_of(sock.getsockname())
        with pytest.raises(ConnectionRefusedError):
            async with connected(url):
                pass
        sock.listen()
        async with connected(url):
            pass


async def test_taken_address_is_refused() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="address already in use"),
    ):
        await bound("127.0.0.1", taken.getsockname()[1])


def test_url_has_brackets_around_ipv6() -> None:
    assert url_of(("192.0.2.7", 80)) == "http://192.0.2.7:80"
    assert url_of(("2001:db8::7", 443, 0, 0), "https") == "https://[2001:db8::7]:443"
