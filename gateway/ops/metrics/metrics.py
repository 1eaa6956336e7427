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
from gateway.ops.metrics.families import labelled, single

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from gateway.downstream.exchange import Exchange, Kind

METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)


class _Counts:
    """Those of the requests of one kind."""

    __slots__ = ("handling", "requests")

    def __init__(self) -> None:
        self.requests: dict[str, list[int]] = {}
        """By method, and by the hundreds of the status: 0 for one that is none of HTTP's."""
        self.handling = Durations(ANSWER_SECONDS)

    def add(self, method: str, status: int) -> None:
        by_hundreds = self.requests.get(method)
        if by_hundreds is None:
            label = method if method in METHODS else "other"
            by_hundreds = self.requests.setdefault(label, [0] * 6)
        by_hundreds[status // 100 if status < 600 else 0] += 1


class Metrics:
    """Counts the requests observed, and asks each of ``sources`` for its metrics when asked."""

    def __init__(self, version: str, *sources: Callable[[], Iterable[Metric]]) -> None:
        self._registry = registry = CollectorRegistry()
        self._counts: dict[Kind, _Counts] = {}
        self._held = Durations(HELD_SECONDS)
        self._errors: dict[str, int] = {}
        Info("gateway_build", "The gateway's version.", registry=registry).info(
            {"version": version, "build": build(), "python": platform.python_version()}
        )
        self._sources = (self._of_requests, *sources)
        for source in self._sources:
            registry.register(_Collected(source))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def observe(self, exchange: Exchange) -> None:
        """Count a request that is over."""
        counts = self._counts.get(exchange.kind)
        if counts is None:
            counts = self._counts[exchange.kind] = _Counts()
        counts.add(exchange.client.method, exchange.status)
        counts.handling.add(exchange.handling_seconds)
        if exchange.held_seconds > 0:
            self._held.add(exchange.held_seconds)
        reason = exchange.reason
        if reason:
            self._errors[reason] = self._errors.get(reason, 0) + 1

    def families(self) -> Iterator[Metric]:
        """Those that are counted here and by the sources, not those of process and Python."""
        for source in self._sources:
            yield from source()

    def render(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the form that ``Accept`` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _of_requests(self) -> Iterator[Metric]:
        requests = {
            (kind.value, method, f"{hundreds}xx" if hundreds else "none"): count
            for kind, counts in self._counts.items()
            for method, by_hundreds in counts.requests.items()
            for hundreds, count in enumerate(by_hundreds)
            if count
        }
        yield labelled("gateway_requests_total", requests)
        handling = {(kind.value,): counts.handling for kind, counts in self._counts.items()}
        yield labelled("gateway_request_handling_seconds", handling)
        yield single("gateway_request_held_seconds", self._held)
        errors = {(reason,): count for reason, count in self._errors.items()}
        yield labelled("gateway_errors_total", errors)


class _Collected(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()
