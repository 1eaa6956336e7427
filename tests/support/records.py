"""Exchanges as the pipeline leaves them, without a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from gateway.downstream.exchange import Exchange
from gateway.downstream.request import Client


@dataclass
class Talk:
    """What the log and the metrics read of a client."""

    method: str = "GET"
    target: str = "/acme/job"
    bytes_received: int = 0
    bytes_sent: int = 0


def exchange(method: str = "GET", target: str = "/acme/job", **known: Any) -> Exchange:
    """An exchange that took a quarter of a second, and what else is known of it."""
    talk = Talk(method, target, known.pop("bytes_in", 0), known.pop("bytes_out", 0))
    record = Exchange(
        cast("Client", talk),
        known.pop("request_id", "r1"),
        known.pop("address", "192.0.2.7"),
        started=100.0,
    )
    record.finished = 100.25
    for name, value in known.items():
        setattr(record, name, value)
    return record
