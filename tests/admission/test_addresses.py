from __future__ import annotations

import pytest

from gateway.admission.addresses import address_key, network


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_address_is_counted_by_what_one_client_cannot_choose(address: str, counted_as: str) -> None:
    assert network(address) == counted_as


def test_little_is_kept_of_what_is_no_address() -> None:
    assert network("a" * 60_000) == "a" * 64
    assert address_key("a" * 60_000) == address_key("a" * 64)


def test_key_is_that_of_the_network() -> None:
    assert len(address_key("192.0.2.7")) == 16
    assert address_key("192.0.2.7") == address_key("::ffff:192.0.2.7")
    assert address_key("2001:db8::1") == address_key("2001:db8::2")
    assert address_key("2001:db8::1") != address_key("2001:db8:0:1::1")
    assert len(address_key("\udcff")) == 16
