from __future__ import annotations

from gateway.ops.metrics.parts import (
    IdentityStats,
    of_certificates,
    of_identities,
    of_upstream,
    of_waits,
)
from gateway.ops.metrics.rows import METRICS
from gateway.sync.watch.watcher import WatcherStats
from gateway.upstream import UpstreamStats
from gateway.upstream.connections.pool import PoolStats


def test_parts_that_did_nothing_have_their_metrics_all_the_same() -> None:
    idle = UpstreamStats(PoolStats(0, 0, 0), {}, {})
    families = [*of_upstream(idle), *of_waits(WatcherStats(0, 0, 0, {}), 0)]
    told = {family.name for family in families}
    of_both = {
        row.name.removesuffix("_total")
        for row in METRICS
        if row.name.startswith(("gateway_upstream_", "gateway_waits_"))
    }
    assert told >= of_both


def test_what_there_is_not_has_no_metric() -> None:
    assert not [*of_certificates({"client": None})]
    told = [family.name for family in of_identities(IdentityStats({"accepted": 0}, {}))]
    assert told == ["gateway_tokens_kept"]
