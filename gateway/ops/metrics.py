"""What Prometheus reads. Labels come from closed sets: no token, id or raw path is in one."""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Info
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gateway import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from gateway.exchange import Exchange, Kind
    from gateway.sync.push import PushStats

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


@dataclass(frozen=True, slots=True)
class RedisStats:
    """Whether Redis answers, how often it has stopped to, and how many decisions on budgets were
    made by it and in its absence."""

    is_answering: bool
    failures: int
    decisions: int
    fallbacks: int


@dataclass(frozen=True, slots=True)
class LimitStats:
    """Requests and connections by (limit, verdict) so far, bytes of jobs and results under way
    now, and what is known of Redis if any."""

    verdicts: Mapping[tuple[str, str], int]
    redis: RedisStats | None = None
    buffered_bytes: int = 0
    connections_refused: int = 0
    """Connections that were told that no file descriptor is left for them."""


class Durations:
    """A histogram to add to: counting here and telling Prometheus later costs the request less."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def tell(self, family: HistogramMetricFamily, *labels: str) -> None:
        """Add what was counted to a metric, under ``labels``."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = list(zip(names, accumulate(self._counts), strict=True))
        family.add_metric(labels, buckets, self._sum)


class Metrics:
    """Counts the requests observed and reads the parts' own counts when asked."""

    def __init__(
        self,
        version: str,
        waits: Callable[[], WaitStats],
        upstream: Callable[[], UpstreamStats],
        limits: Callable[[], LimitStats],
        push: Callable[[], PushStats] | None = None,
    ) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests: dict[tuple[Kind, str, int], int] = {}
        self._handling: dict[Kind, Durations] = {}
        self._held = Durations(HELD_SECONDS)
        Info("gateway_build", "The gateway's version.", registry=registry).info(
            {"version": version, "build": build(), "python": platform.python_version()}
        )
        registry.register(_Collected(self._collect))
        registry.register(_Collected(lambda: _parts(waits(), upstream())))
        registry.register(_Collected(lambda: _limits(limits())))
        if push is not None:
            registry.register(_Collected(lambda: _push(push())))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def observe(self, exchange: Exchange) -> None:
        """Count a request that is over."""
        kind = exchange.kind
        method = exchange.client.method
        key = (kind, method if method in METHODS else "other", exchange.status // 100)
        self._requests[key] = self._requests.get(key, 0) + 1
        durations = self._handling.get(kind)
        if durations is None:
            durations = self._handling[kind] = Durations(HANDLING_SECONDS)
        durations.add(exchange.handling_seconds)
        if exchange.held_seconds > 0:
            self._held.add(exchange.held_seconds)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the form that ``Accept`` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "gateway_requests",
            "Requests by what they are to the gateway, method and status class.",
            labels=("kind", "method", "status"),
        )
        for (kind, method, hundreds), count in self._requests.items():
            status = f"{hundreds}xx" if 1 <= hundreds <= 5 else "none"
            requests.add_metric((kind.value, method, status), count)
        yield requests
        handling = HistogramMetricFamily(
            "gateway_request_handling_seconds",
            "Durations of requests without the time they were held waiting for a job.",
            labels=("kind",),
        )
        for kind, durations in self._handling.items():
            durations.tell(handling, kind.value)
        yield handling
        held = HistogramMetricFamily(
            "gateway_request_held_seconds",
            "How long requests were held waiting for a job, of those that were held.",
        )
        self._held.tell(held)
        yield held


class _Collected(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()


def _parts(waits: WaitStats, upstream: UpstreamStats) -> Iterator[Metric]:
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


def _limits(limits: LimitStats) -> Iterator[Metric]:
    verdicts = CounterMetricFamily(
        "gateway_limit_verdicts",
        "Requests by what a limit said of them; of connections only those over theirs.",
        labels=("limit", "verdict"),
    )
    for labels, count in limits.verdicts.items():
        verdicts.add_metric(labels, count)
    yield verdicts
    yield GaugeMetricFamily(
        "gateway_buffered_bytes",
        "Memory that jobs and results under way take, of limits.buffered_bytes.",
        value=limits.buffered_bytes,
    )
    yield CounterMetricFamily(
        "gateway_connections_refused",
        "Clients' connections that got 503 for want of file descriptors.",
        value=limits.connections_refused,
    )
    redis = limits.redis
    if redis is None:
        return
    yield GaugeMetricFamily(
        "gateway_redis_answering",
        "Whether Redis answers: 1 or 0 for each worker.",
        value=redis.is_answering,
    )
    yield CounterMetricFamily(
        "gateway_redis_failures", "How often Redis has stopped answering.", value=redis.failures
    )
    decisions = CounterMetricFamily(
        "gateway_budget_decisions", "Decisions on rates by who made them.", labels=("store",)
    )
    decisions.add_metric(("redis",), redis.decisions)
    decisions.add_metric(("memory",), redis.fallbacks)
    yield decisions


def _push(push: PushStats) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "gateway_push_connected",
        "Whether a Redis tells of ends of jobs now; how many workers it tells.",
        value=push.is_connected,
    )
    messages = CounterMetricFamily(
        "gateway_push_messages",
        "Messages of Redis by what became of them.",
        labels=("outcome",),
    )
    messages.add_metric(("matched",), push.matched)
    messages.add_metric(("dropped",), push.dropped)
    yield messages
    yield CounterMetricFamily(
        "gateway_push_missing",
        "Jobs that were waited for and ended without a message.",
        value=push.missing,
    )
