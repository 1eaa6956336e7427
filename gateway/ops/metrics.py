"""What Prometheus reads. Labels come from closed sets: no token, id or raw path is in one."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Info
from prometheus_client.core import (
    CounterMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from gateway import build
from gateway.durations import ANSWER_SECONDS, HELD_SECONDS, Durations
from gateway.ops.parts import (
    LimitStats,
    of_limits,
    of_push,
    of_upstream,
    of_waits,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from gateway.downstream.exchange import Exchange, Kind
    from gateway.sync.push.hints import PushStats
    from gateway.sync.watch.watcher import WatcherStats
    from gateway.upstream import UpstreamStats

METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)


class Metrics:
    """Counts the requests observed and reads the parts' own counts when asked."""

    def __init__(
        self,
        version: str,
        waits: Callable[[], WatcherStats],
        upstream: Callable[[], UpstreamStats],
        limits: Callable[[], LimitStats],
        *,
        push: Callable[[], PushStats] | None = None,
        lines_dropped: Callable[[], int] | None = None,
    ) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests: dict[tuple[Kind, str, int], int] = {}
        self._handling: dict[Kind, Durations] = {}
        self._held = Durations(HELD_SECONDS)
        self._errors: dict[str, int] = {}
        self._lines_dropped = lines_dropped
        Info("gateway_build", "The gateway's version.", registry=registry).info(
            {"version": version, "build": build(), "python": platform.python_version()}
        )
        registry.register(_Collected(self._collect))
        registry.register(_Collected(lambda: of_waits(waits())))
        registry.register(_Collected(lambda: of_upstream(upstream())))
        registry.register(_Collected(lambda: of_limits(limits())))
        if push is not None:
            registry.register(_Collected(lambda: of_push(push())))
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
            durations = self._handling[kind] = Durations(ANSWER_SECONDS)
        durations.add(exchange.handling_seconds)
        if exchange.held_seconds > 0:
            self._held.add(exchange.held_seconds)
        reason = exchange.reason
        if reason:
            self._errors[reason] = self._errors.get(reason, 0) + 1

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
            tell(handling, durations, kind.value)
        yield handling
        held = HistogramMetricFamily(
            "gateway_request_held_seconds",
            "How long requests were held waiting for a job, of those that were held.",
        )
        tell(held, self._held)
        yield held
        errors = CounterMetricFamily(
            "gateway_errors",
            "Requests that did not get what they asked for by the gateway's doing, by reason.",
            labels=("reason",),
        )
        for reason, count in self._errors.items():
            errors.add_metric((reason,), count)
        yield errors
        if self._lines_dropped is not None:
            yield CounterMetricFamily(
                "gateway_access_log_lines_dropped",
                "Lines that the access log could not write fast enough, or at all.",
                value=self._lines_dropped(),
            )


class _Collected(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()
