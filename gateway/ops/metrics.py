"""What Prometheus reads. Labels come from closed sets: no token, id or raw path is in one."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from gateway.exchange import Exchange, Kind

METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)
HANDLING_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
HELD_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)


@dataclass(frozen=True, slots=True)
class WaitStats:
    """Clients that wait for a job now, and how many waits ended by verdict so far."""

    in_flight: int
    ended: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class UpstreamStats:
    """Connections to the upstream now, and requests sent by (purpose, status class) so far."""

    open: int
    """All connections there are, idle ones too."""
    idle: int
    queued: int
    """Requests that wait for a connection."""
    requests: Mapping[tuple[str, str], int]


class Metrics:
    """Counts the requests observed and reads the parts' own counts when asked."""

    def __init__(
        self,
        version: str,
        waits: Callable[[], WaitStats],
        upstream: Callable[[], UpstreamStats],
    ) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "gateway_requests",
            "Requests by what they are to the gateway, method and status class.",
            ("kind", "method", "status"),
            registry=registry,
        )
        self._handling = Histogram(
            "gateway_request_handling_seconds",
            "Durations of requests without the time they were held waiting for a job.",
            ("kind",),
            buckets=HANDLING_SECONDS,
            registry=registry,
        )
        self._held = Histogram(
            "gateway_request_held_seconds",
            "How long requests were held waiting for a job, of those that were held.",
            buckets=HELD_SECONDS,
            registry=registry,
        )
        # Finding a labelled child costs more than counting with it.
        self._count: dict[tuple[Kind, str, int], Callable[[], None]] = {}
        self._time: dict[Kind, Callable[[float], None]] = {}
        Info("gateway_build", "The gateway's version.", registry=registry).info(
            {"version": version, "python": platform.python_version()}
        )
        registry.register(_Parts(waits, upstream))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def observe(self, exchange: Exchange) -> None:
        """Count a request that is over."""
        kind = exchange.kind
        method = exchange.client.method
        key = (kind, method if method in METHODS else "other", exchange.status // 100)
        count = self._count.get(key)
        if count is None:
            child = self._requests.labels(kind.value, key[1], _status_class(exchange.status))
            count = self._count[key] = child.inc
        count()
        time = self._time.get(kind)
        if time is None:
            time = self._time[kind] = self._handling.labels(kind.value).observe
        time(exchange.handling_seconds)
        if exchange.held_seconds > 0:
            self._held.observe(exchange.held_seconds)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the form that ``Accept`` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


def _status_class(status: int) -> str:
    return f"{status // 100}xx" if 100 <= status <= 599 else "none"


class _Parts(Collector):
    def __init__(
        self, waits: Callable[[], WaitStats], upstream: Callable[[], UpstreamStats]
    ) -> None:
        self._waits = waits
        self._upstream = upstream

    def collect(self) -> Iterator[Metric]:
        waits, upstream = self._waits(), self._upstream()
        yield GaugeMetricFamily(
            "gateway_waits_in_flight", "Clients waiting for a job.", value=waits.in_flight
        )
        ended = CounterMetricFamily(
            "gateway_waits", "Waits for a job by how they ended.", labels=("verdict",)
        )
        for verdict, count in waits.ended.items():
            ended.add_metric((verdict,), count)
        yield ended
        requests = CounterMetricFamily(
            "gateway_upstream_requests",
            "Requests sent to the upstream by purpose and status class.",
            labels=("purpose", "status"),
        )
        for labels, count in upstream.requests.items():
            requests.add_metric(labels, count)
        yield requests
        connections = GaugeMetricFamily(
            "gateway_upstream_connections",
            "Connections to the upstream, and requests queued for one.",
            labels=("state",),
        )
        connections.add_metric(("busy",), upstream.open - upstream.idle)
        connections.add_metric(("idle",), upstream.idle)
        connections.add_metric(("queued",), upstream.queued)
        yield connections
