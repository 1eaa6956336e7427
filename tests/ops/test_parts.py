from __future__ import annotations

from prometheus_client.core import HistogramMetricFamily

from gateway.durations import Durations
from gateway.ops.parts import of_upstream, of_waits, tell
from gateway.sync.watch.watcher import WatcherStats
from gateway.upstream import UpstreamStats
from gateway.upstream.connections.pool import PoolStats


def test_histogram_is_told_with_sums_of_all_below() -> None:
    durations = Durations((1.0, 2.0))
    for seconds in (0.5, 1.5, 9.0):
        durations.add(seconds)
    family = HistogramMetricFamily("name", "Documentation.", labels=("purpose",))
    tell(family, durations, "read")
    found = {(s.name, s.labels.get("le")): s.value for s in family.samples}
    assert found == {
        ("name_bucket", "1.0"): 1,
        ("name_bucket", "2.0"): 2,
        ("name_bucket", "+Inf"): 3,
        ("name_count", None): 3,
        ("name_sum", None): 11.0,
    }


def test_parts_that_did_nothing_have_their_metrics_all_the_same() -> None:
    names = [family.name for family in of_upstream(UpstreamStats(PoolStats(0, 0, 0), {}, {}))]
    assert names == [
        "gateway_upstream_requests",
        "gateway_upstream_seconds",
        "gateway_upstream_connections",
    ]
    assert [family.name for family in of_waits(WatcherStats(0, 0, 0, {}))] == [
        "gateway_waits_in_flight",
        "gateway_waits",
    ]
