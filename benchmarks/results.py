"""What was measured, as it is written to JSON."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of the rounds, in their order."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def over(self, other: Spread) -> float:
        """The median of the ratios within the rounds: what slows a round slows both."""
        return statistics.median(a / b for a, b in zip(self.values, other.values, strict=True))


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second, and processor time for each, at that many connections."""

    peer: str
    connections: int
    requests_per_second: Spread
    cpu_microseconds: Spread


@dataclass(frozen=True, slots=True)
class Latency:
    """At a constant rate; ``peer`` is ``direct`` for the upstream without a proxy."""

    peer: str
    p50_microseconds: Spread
    p99_microseconds: Spread


@dataclass(frozen=True, slots=True)
class Transfer:
    peer: str
    what: str
    megabytes_per_second: Spread
    """Of 10^6 bytes."""
    cpu_microseconds: Spread
    """For each transfer."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a gateway that was just started and had answered one request."""

    idle_bytes: int
    over_idle_bytes: dict[str, int]
    """The peak of each kind of transfer."""
    idle_connections: int
    """0 where they could not be opened."""
    bytes_per_idle_connection: float


REDIRECTS, PREFERRED = "two requests, by a redirect", "one request, by Prefer"
SYNC_WAYS = (REDIRECTS, PREFERRED)


@dataclass(frozen=True, slots=True)
class Sync:
    """Whole calls of the sync mode, by one of its ways."""

    calls_per_second: Spread
    p50_milliseconds: Spread
    cpu_microseconds: Spread
    """For each call."""


@dataclass(slots=True)
class Results:
    machine: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    tls: list[Rate] = field(default_factory=list)
    """With TLS from the clients."""
    workers: list[Rate] = field(default_factory=list)
    """Of one worker and of two."""
    instructions: dict[str, float] = field(default_factory=dict)
    """For each request, by peer."""
    instructions_by: str = ""
    half_load: float = 0.0
    """Requests a second in ``latencies``."""
    latencies: list[Latency] = field(default_factory=list)
    alone: list[Latency] = field(default_factory=list)
    """Of one connection, with the proxy on a core that nothing else of it uses."""
    transfers: list[Transfer] = field(default_factory=list)
    memory: Memory | None = None
    sync: dict[str, Sync] = field(default_factory=dict)
    """By the ways of ``SYNC_WAYS``."""

    def rate(self, peer: str, connections: int) -> Rate | None:
        for rate in self.rates:
            if rate.peer == peer and rate.connections == connections:
                return rate
        return None

    def latency(self, peer: str) -> Latency | None:
        return next((latency for latency in self.latencies if latency.peer == peer), None)

    def transfer(self, peer: str, what: str) -> Transfer | None:
        for transfer in self.transfers:
            if transfer.peer == peer and transfer.what == what:
                return transfer
        return None

    def added_p50(self, peer: str) -> float | None:
        """Microseconds that the peer adds to the median latency."""
        direct, through = self.latency("direct"), self.latency(peer)
        if direct is None or through is None:
            return None
        return through.p50_microseconds.median - direct.p50_microseconds.median
