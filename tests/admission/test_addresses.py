from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.addresses import address_key, network


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("[2001:db8::1]:443", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::1", "::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("unknown:x", "unknown:x"),
        ("", ""),
    ],
)
def test_addresses_of_one_client_are_counted_together(address: str, counted: str) -> None:
    assert network(address) == counted


@given(st.text(max_size=100))
def test_whatever_a_proxy_says_has_a_key(address: str) -> None:
    assert len(address_key(address)) == 16


def test_keys_of_different_clients_differ() -> None:
    addresses = ("192.0.2.7", "192.0.2.8", "2001:db8::1", "2001:db8:0:1::1", "")
    assert len(set(map(address_key, addresses))) == len(addresses)
