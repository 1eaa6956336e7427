"""Exchanges as the pipeline leaves them, without a connection."""

from __future__ import annotations

from typing import Any

from gateway.downstream.exchange import Exchange
from tests.support.client import client


def exchange(method: str = "GET", target: str = "/acme/job", **known: Any) -> Exchange:
    """An exchange that took a quarter of a second, and what else is known of it."""
    talk = client(method, target, known.pop("fields", ()))
    talk.bytes_received, talk.bytes_sent = known.pop("bytes_in", 0), known.pop("bytes_out", 0)
    record = Exchange(
        talk,
        known.pop("request_id", "r1"),
        known.pop("address", "192.0.2.7"),
        started=100.0,
    )
    record.finished = 100.25
    for name, value in known.items():
        setattr(record, name, value)
    return record
