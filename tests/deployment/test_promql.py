"""The check of names finds what is not there."""

from __future__ import annotations

import pytest

from tests.deployment.promql import asked, missing


def test_series_and_labels_are_told_from_functions_and_texts() -> None:
    found = asked(
        'sum by (instance, le) (rate(gateway_a_bucket{status=~"5xx|failed",kind="x"}[5m]))'
        " / on (job) gateway_b ^ 0 > 0.8 * 134217728"
    )
    assert found.series == {"gateway_a_bucket": {"status", "kind"}, "gateway_b": set()}
    assert found.grouped == {"instance", "le", "job"}


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("gateway_waits_in_flight > 1", []),
        ('rate(gateway_upstream_seconds_bucket{purpose="read"}[5m])', []),
        ("process_open_fds / process_max_fds", []),
        ("gateway_waits > 1", ["gateway_waits"]),
        ("gateway_upstream_seconds > 1", ["gateway_upstream_seconds"]),
        ('gateway_waits_total{status="ended"}', ["gateway_waits_total{status}"]),
        ("sum by (verdicts) (gateway_waits_total)", ["by (verdicts)"]),
    ],
)
def test_what_no_gateway_has_is_found(expression: str, wrong: list[str]) -> None:
    assert missing(expression) == wrong


def test_function_that_is_not_known_is_no_series() -> None:
    with pytest.raises(AssertionError, match="rates"):
        asked("rates(gateway_waits_total[5m])")
