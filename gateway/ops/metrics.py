"""What Prometheus reads. Labels come from closed sets: no token, id or raw path is in one."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Info
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from gateway import build
from gateway.durations import ANSWER_SECONDS, HELD_SECONDS, Durations
from gateway.ops.families import labelled, single

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from gateway.downstream.exchange import Exchange, Kind

METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)


class Metrics:
    """Counts the requests observed, and asks each of ``sources`` for its metrics when asked."""

    def __init__(self, version: str, *sources: Callable[[], Iterable[Metric]]) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests: dict[tuple[Kind, str, int], int] = {}
        self._handling: dict[Kind, Durations] = {}
        self._held = Durations(HELD_SECONDS)
        self._errors: dict[str, int] = {}
        Info("gateway_build", "The gateway's version.", registry=registry).info(
            {"version": version, "build": build(), "python": platform.python_version()}
        )
        for source in (self._of_requests, *sources):
            registry.register(_Collected(source))
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

    def _of_requests(self) -> Iterator[Metric]:
        requests = {
            (kind.value, method, f"{hundreds}xx" if 1 <= hundreds <= 5 else "none"): count
            for (kind, method, hundreds), count in self._requests.items()
        }
        yield labelled("gateway_requests_total", requests)
        handling = {(kind.value,): durations for kind, durations in self._handling.items()}
        yield labelled("gateway_request_handling_seconds", handling)
        yield single("gateway_request_held_seconds", self._held)
        errors = {(reason,): count for reason, count in self._errors.items()}
        yield labelled("gateway_errors_total", errors)


class _Collected(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()
