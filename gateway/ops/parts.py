"""What the parts count, as Prometheus takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from gateway.durations import Durations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from gateway.admission.limits.redis_budgets import RedisStats
    from gateway.sync.push.hints import PushStats
    from gateway.sync.watch.watcher import WatcherStats
    from gateway.upstream import UpstreamStats


@dataclass(frozen=True, slots=True)
class LimitStats:
    """Requests and connections by (limit, verdict) so far, bytes of jobs and results under way
    now, and what is known of Redis if any."""

    verdicts: Mapping[tuple[str, str], int]
    redis: RedisStats | None = None
    buffered_bytes: int = 0
    connections_refused: int = 0
    """Connections that were told that no file descriptor is left for them."""


def tell(family: HistogramMetricFamily, durations: Durations, *labels: str) -> None:
    """Add what was counted to a metric, under ``labels``."""
    names = [*map(floatToGoString, durations.bounds), "+Inf"]
    buckets = list(zip(names, accumulate(durations.counts), strict=True))
    family.add_metric(labels, buckets, durations.sum)


def of_waits(waits: WatcherStats) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "gateway_waits_in_flight", "Clients waiting for a job.", value=waits.waiters
    )
    ended = CounterMetricFamily(
        "gateway_waits", "Waits for a job by how they ended.", labels=("verdict",)
    )
    for verdict, count in waits.verdicts.items():
        ended.add_metric((verdict.value,), count)
    yield ended


def of_upstream(upstream: UpstreamStats) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "gateway_upstream_requests",
        "Requests sent to the upstream by purpose and status class.",
        labels=("purpose", "status"),
    )
    for labels, count in upstream.requests.items():
        requests.add_metric(labels, count)
    yield requests
    seconds = HistogramMetricFamily(
        "gateway_upstream_seconds",
        "How long the upstream took to begin its answers, or to fail, by purpose.",
        labels=("purpose",),
    )
    for purpose, durations in upstream.seconds.items():
        tell(seconds, durations, purpose)
    yield seconds
    connections = GaugeMetricFamily(
        "gateway_upstream_connections",
        "Connections to the upstream, and requests queued for one.",
        labels=("state",),
    )
    connections.add_metric(("busy",), upstream.pool.busy)
    connections.add_metric(("idle",), upstream.pool.idle)
    connections.add_metric(("queued",), upstream.pool.queued)
    yield connections


def of_limits(limits: LimitStats) -> Iterator[Metric]:
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


def of_push(push: PushStats) -> Iterator[Metric]:
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
