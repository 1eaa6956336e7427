"""Addresses that are taken before anybody accepts connections there."""

from __future__ import annotations

import errno
import socket

import pytest

from gateway.downstream.listening.sockets import bound, peer_address, url_of
from tests.support.harness import connected, has_ipv6


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


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_every_interface_is_one_socket_for_both_families() -> None:
    [sock] = await bound("::", 0)
    with sock:
        sock.listen()
        port = sock.getsockname()[1]
        for host in ("127.0.0.1", "[::1]"):
            async with connected(f"http://{host}:{port}"):
                pass


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_an_address_of_ipv6_leaves_that_of_ipv4_to_others() -> None:
    [sock] = await bound("::1", 0)
    with sock, socket.create_server(("127.0.0.1", sock.getsockname()[1])):
        pass


@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_every_interface_is_those_of_ipv4_where_there_is_no_ipv6(code: int) -> None:
    class WithoutIPv6(socket.socket):
        def bind(self, address: tuple[object, ...]) -> None:  # type: ignore[override]
            if self.family == socket.AF_INET6:
                raise OSError(code, "no IPv6")
            super().bind(address)

    [sock] = await bound("::", 0, WithoutIPv6)
    with sock:
        assert sock.getsockname()[0] == "0.0.0.0"


async def test_a_name_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(OSError, match=r"not known|resolution"):
        await bound("nobody.invalid", 0)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("192.0.2.7", 80), "192.0.2.7"),
        (("::ffff:192.0.2.7", 80, 0, 0), "192.0.2.7"),
        (("2001:db8::7", 80, 0, 0), "2001:db8::7"),
        (("::ffff:0:7", 80, 0, 0), "::ffff:0:7"),
        ("/run/socket", ""),
        (None, ""),
    ],
)
def test_peer_of_ipv4_has_its_own_address(peer: object, address: str) -> None:
    assert peer_address(peer) == address
