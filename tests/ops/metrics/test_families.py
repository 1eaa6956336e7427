from __future__ import annotations

import pytest

from gateway.durations import Durations
from gateway.ops.metrics.families import labelled, single
from gateway.ops.metrics.rows import METRICS


def test_histogram_is_told_with_sums_of_all_below() -> None:
    durations = Durations((1.0, 2.0))
    for seconds in (0.5, 1.5, 9.0):
        durations.add(seconds)
    family = labelled("gateway_upstream_seconds", {("read",): durations})
    found = {(s.name, s.labels["purpose"], s.labels.get("le")): s.value for s in family.samples}
    assert found == {
        ("gateway_upstream_seconds_bucket", "read", "1.0"): 1,
        ("gateway_upstream_seconds_bucket", "read", "2.0"): 2,
        ("gateway_upstream_seconds_bucket", "read", "+Inf"): 3,
        ("gateway_upstream_seconds_count", "read", None): 3,
        ("gateway_upstream_seconds_sum", "read", None): 11.0,
    }


def test_names_are_those_that_prometheus_shows() -> None:
    assert [sample.name for sample in single("gateway_push_missing_total", 3).samples] == [
        "gateway_push_missing_total"
    ]
    assert len({row.name for row in METRICS}) == len(METRICS)
    for row in METRICS:
        assert row.name.startswith("gateway_")
        assert row.name.endswith("_total") is (row.type == "counter")


def test_metric_that_stands_in_no_row_is_refused() -> None:
    with pytest.raises(KeyError):
        single("gateway_unknown", 1)
