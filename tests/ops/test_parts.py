from __future__ import annotations

from gateway.ops.parts import of_upstream, of_waits
from gateway.sync.watch.watcher import WatcherStats
from gateway.upstream import UpstreamStats
from gateway.upstream.connections.pool import PoolStats


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
