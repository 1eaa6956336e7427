"""Several workers' metrics on one page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from gateway.config import Config, LogConfig
from gateway.durations import ANSWER_SECONDS, Durations
from gateway.ops.metrics.merge import EXCHANGED, Totals
from gateway.ops.metrics.metrics import Metrics
from gateway.ops.metrics.parts import (
    IdentityStats,
    of_access_log,
    of_certificates,
    of_identities,
    of_settings,
    of_upstream,
    of_waits,
)
from gateway.ops.metrics.reloads import Reloads, config_hash
from gateway.sync.watch.state import WaitVerdict
from gateway.sync.watch.watcher import WatcherStats
from gateway.upstream import UpstreamStats
from gateway.upstream.connections.pool import PoolStats
from tests.support.records import exchange
from tests.test_app import numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric


class Given(Collector):
    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def page(requests: dict[str, float], in_flight: float = 0, memory: float = 1) -> str:
    """A worker's page: requests by kind, each of a millisecond."""
    counter = CounterMetricFamily("gateway_requests", "Requests.", labels=("kind",))
    durations = HistogramMetricFamily("gateway_seconds", "Durations.", labels=("kind",))
    for kind, count in requests.items():
        counter.add_metric((kind,), count)
        buckets = [("0.01", count), ("+Inf", count)]
        durations.add_metric((kind,), buckets, count * 0.001)
    gauge = GaugeMetricFamily("gateway_waits_in_flight", "Waits.", value=in_flight)
    process = GaugeMetricFamily("process_resident_memory_bytes", "Memory.", value=memory)
    registry = CollectorRegistry()
    registry.register(Given(counter, durations, gauge, process))
    encode, _ = choose_encoder(EXCHANGED)
    return encode(registry).decode()


def totals() -> Totals:
    return Totals(lambda: [GaugeMetricFamily("gateway_workers", "Workers.", value=2)])


def shown(merged: Totals) -> dict[str, float]:
    return numbers(merged.render("")[0].decode())


def test_counts_and_durations_and_gauges_of_the_gateway_are_summed() -> None:
    merged = totals()
    merged.update(1, page({"relay": 3, "create": 1}, in_flight=5))
    merged.update(2, page({"result": 2, "relay": 4}, in_flight=7))
    told = shown(merged)
    assert told["gateway_waits_in_flight"] == 12
    assert told['gateway_requests_total{kind="relay"}'] == 7
    assert told['gateway_requests_total{kind="create"}'] == 1
    assert told['gateway_seconds_bucket{kind="relay",le="0.01"}'] == 7
    assert told['gateway_seconds_count{kind="result"}'] == 2
    assert told['gateway_seconds_sum{kind="relay"}'] == pytest.approx(0.007)
    assert told["gateway_workers"] == 2


def test_what_describes_a_process_has_the_number_of_its_worker() -> None:
    merged = totals()
    merged.update(2, page({}, memory=20))
    merged.update(1, page({}, memory=10))
    told = shown(merged)
    assert told['process_resident_memory_bytes{worker="1"}'] == 10
    assert told['process_resident_memory_bytes{worker="2"}'] == 20


def test_what_an_ended_worker_counted_stays_but_not_what_it_was_doing() -> None:
    merged = totals()
    merged.update(1, page({"relay": 3}, in_flight=5))
    merged.update(2, page({"relay": 4}, in_flight=7))
    merged.retire(1)
    told = shown(merged)
    assert told['gateway_requests_total{kind="relay"}'] == 7
    assert told["gateway_waits_in_flight"] == 7
    assert 'process_resident_memory_bytes{worker="1"}' not in told
    merged.update(1, page({"relay": 1}))
    merged.retire(1)
    merged.retire(1)
    assert shown(merged)['gateway_requests_total{kind="relay"}'] == 8


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.booleans(), st.integers(0, 9))))
def test_no_sum_ever_shrinks_whatever_ends_or_stays_silent(
    steps: list[tuple[int, bool, int]],
) -> None:
    merged, counted, last = totals(), dict.fromkeys((1, 2, 3), 0), 0.0
    for number, ends, more in steps:
        if ends:
            merged.retire(number)
            counted[number] = 0
        else:
            counted[number] += more
            merged.update(number, page({"relay": counted[number]}))
        told = shown(merged).get('gateway_requests_total{kind="relay"}', 0.0)
        assert told >= last
        last = told


BOUNDS = ("0.1", "0.25", "0.5", "+Inf")


@pytest.mark.parametrize("accept", ["", EXCHANGED])
def test_page_of_real_workers_has_the_form_asked_for(accept: str) -> None:
    merged = totals()
    for number in (1, 2):
        took = Durations(ANSWER_SECONDS)
        took.add(0.25 * number)
        metrics = Metrics(
            "7",
            partial(of_waits, WatcherStats(1, 1, 0, {WaitVerdict.ENDED: 2}), 0),
            partial(of_upstream, UpstreamStats(PoolStats(2, 1, 0), {}, {"relay": took})),
            partial(of_access_log, number),
        )
        for _ in range(number):
            metrics.observe(exchange(status=401, reason="UnknownToken"))
        merged.update(number, metrics.render(EXCHANGED)[0].decode())
    content, content_type = merged.render(accept)
    told = numbers(content.decode())
    assert content_type.partition(";")[0] in {"text/plain", "application/openmetrics-text"}
    assert ("openmetrics" in content_type) is bool(accept)
    [(build, value)] = [item for item in told.items() if item[0].startswith("gateway_build_info")]
    assert 'version="7"' in build
    assert value == 1
    assert told['gateway_waits_total{verdict="ended"}'] == 4
    assert told['gateway_upstream_connections{state="busy"}'] == 4
    assert told['gateway_upstream_seconds_sum{purpose="relay"}'] == 0.75
    below = [told[f'gateway_upstream_seconds_bucket{{le="{le}",purpose="relay"}}'] for le in BOUNDS]
    assert below == [0, 1, 2, 2]
    assert told['gateway_errors_total{reason="UnknownToken"}'] == 3
    assert told["gateway_access_log_lines_dropped_total"] == 3
    names = [line.split()[2] for line in content.decode().splitlines() if "# TYPE" in line]
    assert len(names) == len(set(names))
    if accept:
        assert list(text_string_to_metric_families(content.decode()))  # type: ignore[no-untyped-call]


def test_page_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="EOF"):
        totals().update(1, "gateway_requests_total 1\n")


def worker_page(config: Config, not_after: float, age: float, *, was_refused: bool) -> str:
    reloads = Reloads(config)
    if was_refused:
        reloads.refuse()
    registry = CollectorRegistry()
    registry.register(
        Given(
            *of_settings(reloads),
            *of_certificates({"client": not_after}),
            *of_identities(IdentityStats({}, {"jwks": age})),
        )
    )
    encode, _ = choose_encoder(EXCHANGED)
    return encode(registry).decode()


def test_what_cannot_be_summed_is_the_worst_of_the_workers() -> None:
    merged = totals()
    same = Config()
    merged.update(1, worker_page(same, 2000.0, 4.0, was_refused=False))
    merged.update(2, worker_page(same, 1000.0, 9.0, was_refused=True))
    told = shown(merged)
    assert told['gateway_certificate_not_after_seconds{listener="client"}'] == 1000
    assert told['gateway_identity_keys_age_seconds{source="jwks"}'] == 9
    assert told["gateway_reload_succeeded"] == 0
    assert told['gateway_reloads_total{verdict="refused"}'] == 1
    assert told[f'gateway_config_info{{hash="{config_hash(same)}"}}'] == 1


def test_workers_with_other_settings_are_seen_by_a_second_hash() -> None:
    merged = totals()
    other = Config(log=LogConfig(level="debug"))
    for number, config in enumerate((Config(), other)):
        merged.update(number, worker_page(config, 1000.0, 1.0, was_refused=False))
    hashes = {name for name in shown(merged) if name.startswith("gateway_config_info")}
    assert len(hashes) == 2


def test_what_the_keeper_of_workers_tells_stands_with_what_they_tell() -> None:
    merged = Totals(lambda: of_certificates({"admin": 500.0}))
    merged.update(1, worker_page(Config(), 2000.0, 4.0, was_refused=False))
    told = shown(merged)
    assert told['gateway_certificate_not_after_seconds{listener="admin"}'] == 500
    assert told['gateway_certificate_not_after_seconds{listener="client"}'] == 2000
    page = merged.render("")[0].decode()
    assert page.count("# TYPE gateway_certificate_not_after_seconds ") == 1
