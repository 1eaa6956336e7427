"""What a forwarded request says about where it came from. Whole: tests/e2e/test_passthrough.py."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from gateway.downstream.request import Client
from gateway.errors import Field
from gateway.protocols.http.fields import values
from gateway.proxy.forwarding import Forwarding
from tests.support.client import client as request


def client(*fields: Field, **other: Any) -> Client:
    return request(fields=fields, **{"address": "10.0.0.9", **other})


def forwarding(*trusted: str, preserve_host: bool = False) -> Forwarding:
    return Forwarding(trusted, b"up:1", preserve_host=preserve_host)


@pytest.mark.parametrize(
    ("peer", "hops", "address"),
    [
        ("10.0.0.9", b"1.1.1.1, 2.2.2.2", "2.2.2.2"),
        ("10.0.0.9", b"1.1.1.1, 10.0.0.7", "1.1.1.1"),
        ("10.0.0.9", b"10.0.0.7", "10.0.0.7"),
        ("10.0.0.9", b"", "10.0.0.9"),
        ("10.0.0.9", b"1.1.1.1, garbage", "garbage"),
        ("3.3.3.3", b"1.1.1.1", "3.3.3.3"),
        ("", b"1.1.1.1", ""),
    ],
)
def test_the_client_is_the_right_most_hop_nobody_vouches_for(
    peer: str, hops: bytes, address: str
) -> None:
    inbound = client((b"X-Forwarded-For", hops), address=peer)
    assert forwarding("10.0.0.0/24").client_address(inbound) == address


@pytest.mark.parametrize("hop", ["10.0.0.7:4711", "::ffff:10.0.0.7", "[::ffff:10.0.0.7]:80"])
@pytest.mark.parametrize("trusted", ["10.0.0.0/24", "::ffff:10.0.0.0/120"])
def test_a_trusted_proxy_is_known_however_its_address_is_written(hop: str, trusted: str) -> None:
    forwarded = client((b"X-Forwarded-For", f"1.1.1.1, {hop}".encode()), address="::ffff:10.0.0.9")
    assert forwarding(trusted).client_address(forwarded) == "1.1.1.1"


def test_other_proxies_are_believed_after_a_reload() -> None:
    rules = forwarding("10.0.0.0/24")
    one, other = (
        client((b"X-Forwarded-For", b"1.1.1.1"), address=peer) for peer in ("10.0.0.9", "10.9.0.9")
    )
    assert [rules.client_address(each) for each in (one, other)] == ["1.1.1.1", "10.9.0.9"]
    rules.reconfigure(["10.9.0.0/24"])
    assert [rules.client_address(each) for each in (one, other)] == ["10.0.0.9", "1.1.1.1"]


def test_nothing_long_that_a_client_says_is_kept() -> None:
    tracemalloc.start()
    try:
        rules = forwarding("10.0.0.0/24")
        for number in range(200):
            long = f"{number}".encode() * 8192
            hops = (b"X-Forwarded-For", b"1.1.1.1, " + long)
            assert rules.client_address(client(hops)) == long.decode()
            rules.outbound(client((b"Host", long)), "r")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b"\xff", b"a\r\nX: b"])
def test_an_unusable_request_id_is_replaced_even_from_a_trusted_proxy(given: bytes) -> None:
    request_id = forwarding("10.0.0.0/24").request_id(client((b"X-Request-Id", given)))
    assert len(request_id) == 32
    assert request_id.isalnum()


def test_rfc_9110_7_6_1_content_keeps_its_framing_even_where_connection_names_it() -> None:
    sized = client(
        (b"Host", b"h"),
        (b"Connection", b"content-length"),
        (b"Content-Length", b"3"),
        content=[b"abc"],
    )
    assert values(forwarding().outbound(sized, "r"), b"content-length") == [b"3"]
    chunked = client((b"Host", b"h"), (b"Transfer-Encoding", b"chunked"), content=[b"abc"])
    assert forwarding().outbound(chunked, "r")[-1] == (b"Transfer-Encoding", b"chunked")


@pytest.mark.parametrize(
    ("method", "sent"), [("TRACE", b"6"), ("OPTIONS", b"6"), ("GET", b"7"), ("POST", b"7")]
)
def test_rfc_9110_7_6_2_forwards_that_are_counted_become_fewer(method: str, sent: bytes) -> None:
    """Though Connection names the field."""
    fields = [(b"Host", b"h"), (b"Max-Forwards", b"7"), (b"Connection", b"max-forwards")]
    outbound = forwarding().outbound(client(*fields, method=method), "r")
    assert values(outbound, b"max-forwards") == [sent]


def test_rfc_9110_7_2_a_request_without_host_gets_the_upstreams() -> None:
    assert forwarding().outbound(client(), "r")[0] == (b"Host", b"up:1")


@pytest.mark.parametrize("claim", [b"evil/path", b"foo bar", b"a, b c"])
def test_rfc_3986_3_2_2_what_is_not_a_host_is_not_passed_on_for_a_trusted_proxy_either(
    claim: bytes,
) -> None:
    """It may have been its client who wrote it (RFC 3986, 3.2.2)."""
    inbound = client((b"Host", b"h"), (b"X-Forwarded-Host", claim))
    outbound = forwarding("10.0.0.0/24").outbound(inbound, "r")
    assert values(outbound, b"x-forwarded-host") == [b"h"]


def test_hosts_of_a_chain_of_trusted_proxies_pass() -> None:
    inbound = client((b"Host", b"h"), (b"X-Forwarded-Host", b"a.example, [::1]:80"))
    outbound = forwarding("10.0.0.0/24").outbound(inbound, "r")
    assert values(outbound, b"x-forwarded-host") == [b"a.example, [::1]:80"]


def test_a_peer_without_an_address_is_not_made_up() -> None:
    names = [name for name, _ in forwarding().outbound(client(address=""), "r")]
    assert b"X-Forwarded-For" not in names
