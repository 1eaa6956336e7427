"""Who gets how many file descriptors."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import descriptors
from gateway.config import Config, LimitsConfig, UpstreamConfig
from gateway.descriptors import OWN, Allotment, allotted, shortage

DEFAULTS = Config()
NEEDED = 10_000 + 1000 + 512 + OWN


@pytest.mark.parametrize(
    ("limit", "clients", "upstream"),
    [
        (NEEDED, 11_000, 512),
        (1_048_576, 1_048_000, 512),
        (NEEDED - 1, 10_999, 512),
        (1024, 720, 240),
        (256, 144, 48),
        (64, 24, 8),
    ],
)
def test_clients_get_what_the_upstream_and_the_rest_leave(
    limit: int, clients: int, upstream: int
) -> None:
    assert allotted(limit, DEFAULTS) == Allotment(limit, NEEDED, clients, upstream)


@given(
    st.integers(16, 2**63 - 1),
    st.builds(
        Config,
        upstream=st.builds(UpstreamConfig, max_connections=st.integers(1, 1_000_000)),
        limits=st.builds(
            LimitsConfig,
            holds=st.integers(1, 1_000_000),
            connections_per_address=st.integers(0, 1_000_000),
        ),
    ),
)
def test_no_more_than_there_are_is_given_out(limit: int, config: Config) -> None:
    allotment = allotted(limit, config)
    assert allotment.clients >= 1
    assert allotment.upstream >= 1
    assert allotment.upstream <= config.upstream.max_connections
    assert allotment.clients + allotment.upstream + min(OWN, limit // 2) <= limit
    if not allotment.is_short:
        assert allotment.upstream == config.upstream.max_connections
        assert allotment.clients >= config.limits.holds


def test_shortage_is_told_with_what_it_means() -> None:
    assert shortage(NEEDED, DEFAULTS) == ""
    told = shortage(1024, DEFAULTS)
    assert told.startswith(f"1024 file descriptors are too few for the settings: {NEEDED} may be")
    assert "limits.holds 10000" in told
    assert "720 clients are let in at once and 240 connections" in told


def test_limit_is_raised_as_far_as_it_may_be() -> None:
    code = (
        "from gateway import descriptors as d;"
        "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (100, 200));"
        "print(d.limit(), d.most()); d.ask_for_most(); print(d.limit(), d.most())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["100", "200", "200", "200"]


def test_limit_that_cannot_be_raised_stays() -> None:
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    before = descriptors.limit()
    descriptors.ask_for_most(refuse)
    assert descriptors.limit() == before


def test_no_limit_is_enough_for_anything() -> None:
    assert descriptors.number(1024) == 1024
    assert shortage(descriptors.number(resource.RLIM_INFINITY), DEFAULTS) == ""
