from __future__ import annotations

from gateway.admission.connections import Connections

PROXY = "10.0.0.1"


def connections(most: int = 2) -> Connections:
    return Connections(most, lambda address: address == PROXY)


def test_connections_over_the_bound_of_their_address_are_surplus() -> None:
    counted = connections()
    key = counted.key("192.0.2.7")
    assert [counted.opened(key) for _ in range(4)] == [0, 0, 1, 2]
    assert counted.opened(counted.key("192.0.2.8")) == 0
    assert counted.surplus == 2


def test_closed_connections_make_room() -> None:
    counted = connections()
    key = counted.key("192.0.2.7")
    for _ in range(1000):
        assert counted.opened(key) == 0
        counted.closed(key)
    assert not counted._open


def test_one_64_of_ipv6_is_one_client() -> None:
    counted = connections(1)
    assert counted.opened(counted.key("2001:db8::1")) == 0
    assert counted.opened(counted.key("2001:db8::2")) == 1
    assert counted.opened(counted.key("2001:db8:0:1::1")) == 0


def test_trusted_proxies_and_sockets_without_an_address_are_not_counted() -> None:
    counted = connections()
    assert counted.key(PROXY) == ""
    assert counted.key("") == ""


def test_bound_of_zero_is_none() -> None:
    assert connections(0).key("192.0.2.7") == ""


def test_other_bound_counts_for_connections_to_come() -> None:
    counted = connections(3)
    key = counted.key("192.0.2.7")
    assert [counted.opened(key) for _ in range(3)] == [0, 0, 0]
    counted.reconfigure(1)
    assert counted.opened(key) == 3
    counted.reconfigure(0)
    assert counted.key("192.0.2.7") == ""
    for _ in range(4):
        counted.closed(key)
    assert not counted._open
