"""What is a host and what is not. On sockets: tests/e2e/test_passthrough.py."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.http.host import is_host

UNRESERVED = "abcXYZ019-._~"


@pytest.mark.parametrize(
    "value",
    [
        b"gateway.example",
        b"gateway.example:6090",
        b"gateway.example.",
        b"my_service",
        b"x",
        b"x:",
        b"127.0.0.1:6090",
        b"[::1]",
        b"[::1]:6090",
        b"[::ffff:10.0.0.1]",
        b"[v1.x:y]:80",
        b"xn--bcher-kva.example",
        b"b%C3%BCcher.example",
        b"a;b=c!$&'()*+~",
    ],
)
def test_rfc_3986_3_2_2_host_of_the_grammar_is_one(value: bytes) -> None:
    assert is_host(value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b":80",
        b"foo bar",
        b"foo\tbar",
        b"a/b?c@d",
        b"user@host",
        b"a.example, b.example",
        b"a,b",
        b"a:80:90",
        b"a:b",
        b"a:-1",
        b"a:80 ",
        b"::1",
        b"[::1",
        b"[::1]x",
        b"[::1]:x",
        b"[]",
        b"[1.2.3.4]",
        b"[::1%25eth0]",
        b"[:::]",
        b"[v1.]",
        b"a%zz",
        b"a%2",
        b"a#b",
        b"a\\b",
        b'"a"',
        b"<a>",
        b"a|b",
        b"b\xc3\xbccher.example",
        b"a\x00b",
        b"a\n",
        b"http://a",
    ],
)
def test_rfc_3986_3_2_2_anything_else_is_not(value: bytes) -> None:
    assert not is_host(value)


@given(
    name=st.text(st.sampled_from(UNRESERVED), min_size=1),
    port=st.none() | st.integers(0, 65535),
)
def test_rfc_3986_3_2_2_every_name_is_a_host_with_and_without_a_port(
    name: str, port: int | None
) -> None:
    assert is_host((name if port is None else f"{name}:{port}").encode())


@given(address=st.ip_addresses(v=6))
def test_rfc_3986_3_2_2_every_ipv6_address_in_brackets_is_a_host(
    address: ipaddress.IPv6Address,
) -> None:
    assert is_host(f"[{address.exploded}]:80".encode())
    assert not is_host(f"{address.exploded}:80".encode())


def test_a_long_value_is_judged_in_one_pass() -> None:
    """Possessive quantifiers: no value makes the expression try again."""
    assert is_host(b"%41" * 20_000)
    assert not is_host(b"%41" * 20_000 + b"%4")
    assert not is_host(b"a" * 60_000 + b" ")
