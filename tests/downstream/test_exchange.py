"""What is known of a request."""

from __future__ import annotations

import pytest

from gateway.downstream.exchange import Exchange
from tests.support.client import client


@pytest.mark.parametrize(("held", "handling"), [(0.0, 5.0), (4.5, 0.5), (6.0, 0.0)])
def test_handling_time_is_the_duration_without_the_time_held(held: float, handling: float) -> None:
    exchange = Exchange(client(), "r1", "127.0.0.1", started=10.0)
    exchange.finished = 15.0
    exchange.held_seconds = held
    assert exchange.handling_seconds == pytest.approx(handling)
