from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import build
from gateway.admission.limits.redis_budgets import RedisStats
from gateway.config import Config
from gateway.downstream.exchange import Kind
from gateway.durations import ANSWER_SECONDS, NOTICE_SECONDS, Durations
from gateway.ops.metrics.metrics import Metrics
from gateway.ops.metrics.parts import (
    IdentityStats,
    LimitStats,
    of_access_log,
    of_cancellations,
    of_certificates,
    of_connections,
    of_identities,
    of_keys,
    of_limits,
    of_notices,
    of_push,
    of_results,
    of_settings,
    of_spans,
    of_upstream,
    of_waits,
)
from gateway.ops.metrics.reloads import Reloads, config_hash
from gateway.ops.metrics.rows import METRICS
from gateway.sync.cancellation.canceller import CancelReason, CancelVerdict
from gateway.sync.idempotency.creations import KeyStats
from gateway.sync.kept.memory_results import StoreStats
from gateway.sync.push.hints import PushStats
from gateway.sync.watch.poll_requests import Look
from gateway.sync.watch.state import WaitVerdict
from gateway.sync.watch.watcher import WatcherStats
from gateway.upstream import UpstreamStats
from gateway.upstream.connections.pool import PoolStats
from tests.support.records import exchange

Labels = dict[str, str]


def metrics(push: PushStats | None = None, keys: int | None = 7) -> Metrics:
    took = Durations(ANSWER_SECONDS)
    took.add(0.3)
    took.add(70)
    verdicts_of_waits = {WaitVerdict.ENDED: 7, WaitVerdict.TIME_UP: 2}
    waits = WatcherStats(2, 3, 0, verdicts_of_waits, {Look.RANGE: 5}, 4)
    upstream = UpstreamStats(
        PoolStats(busy=1, idle=4, queued=1),
        requests={("relay", "2xx"): 11, ("read", "5xx"): 1},
        seconds={"relay": took},
    )
    verdicts = {("create", "refused"): 3, ("other", "admitted"): 9}
    limits = LimitStats(verdicts, RedisStats(False, 2, 40, 5), 0, {"known": 2, "unknown": 9})
    late = Durations(NOTICE_SECONDS)
    late.add(0.3)
    reloads = Reloads(Config())
    reloads.refuse()
    results = StoreStats(4, 5000, {"memory": 6, "redis": 1}, 2)
    return Metrics(
        "1.2.3",
        lambda: of_waits(waits, 13),
        lambda: of_upstream(upstream),
        lambda: of_limits(limits),
        lambda: of_connections(12, {"descriptors": 6, "connections_per_address": 1}),
        lambda: of_identities(IdentityStats({"accepted": 5, "rejected": 1}, {"jwks": 40.0})),
        lambda: of_notices({"push": late}),
        lambda: of_certificates({"client": 1.9e9}),
        lambda: of_settings(reloads),
        lambda: of_access_log(8),
        lambda: of_spans(exported=4, failed=2, dropped=1),
        lambda: of_results(results),
        lambda: of_keys(KeyStats({"first": 3, "replayed": 2, "failed": 1}, keys)),
        lambda: of_cancellations({(CancelReason.REQUEST, CancelVerdict.CANCELLED): 5}, 3),
        *([] if push is None else [lambda: of_push(push)]),
    )


def read(source: Metrics) -> dict[str, list[tuple[Labels, float]]]:
    page, _ = source.render("")
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


@pytest.mark.parametrize(
    ("method", "status", "labels"),
    [
        ("GET", 200, ("GET", "2xx")),
        ("POST", 303, ("POST", "3xx")),
        ("BREW", 418, ("other", "4xx")),
        ("GET", 0, ("GET", "none")),
        ("GET", 999, ("GET", "none")),
    ],
)
def test_metrics_count_requests_by_closed_sets_of_labels(
    method: str, status: int, labels: tuple[str, str]
) -> None:
    source = metrics()
    for _ in range(2):
        source.observe(exchange(method, kind=Kind.RELAY, status=status))
    expected = {"kind": "relay", "method": labels[0], "status": labels[1]}
    assert read(source)["gateway_requests_total"] == [(expected, 2.0)]


def test_statuses_that_are_none_of_https_are_counted_together() -> None:
    source = metrics()
    for status in (0, 600, 999):
        source.observe(exchange("GET", kind=Kind.RELAY, status=status))
    expected = {"kind": "relay", "method": "GET", "status": "none"}
    assert read(source)["gateway_requests_total"] == [(expected, 3.0)]


def test_metrics_count_the_gateways_own_errors_by_their_code() -> None:
    source = metrics()
    for reason in ("UnknownToken", "", "UnknownToken", "BadGateway"):
        source.observe(exchange(status=401, reason=reason))
    assert read(source)["gateway_errors_total"] == [
        ({"reason": "UnknownToken"}, 2.0),
        ({"reason": "BadGateway"}, 1.0),
    ]


def test_metrics_tell_how_long_the_upstream_took_and_what_the_log_lost() -> None:
    found = read(metrics())
    buckets = {labels["le"]: count for labels, count in found["gateway_upstream_seconds_bucket"]}
    assert (buckets["0.25"], buckets["0.5"], buckets["60.0"], buckets["+Inf"]) == (0, 1, 1, 2)
    assert found["gateway_upstream_seconds_sum"] == [({"purpose": "relay"}, 70.3)]
    assert found["gateway_access_log_lines_dropped_total"] == [({}, 8.0)]
    assert found["gateway_spans_total"] == [
        ({"result": "exported"}, 4.0),
        ({"result": "failed"}, 2.0),
        ({"result": "dropped"}, 1.0),
    ]


def test_metrics_keep_time_held_apart_from_time_handling() -> None:
    source = metrics()
    source.observe(exchange(kind=Kind.RESULT, status=200, finished=103.0, held_seconds=2.5))
    source.observe(exchange(kind=Kind.RELAY, status=200))
    found = read(source)
    assert found["gateway_request_handling_seconds_sum"] == [
        ({"kind": "result"}, 0.5),
        ({"kind": "relay"}, 0.25),
    ]
    assert found["gateway_request_held_seconds_sum"] == [({}, 2.5)]
    assert found["gateway_request_held_seconds_count"] == [({}, 1.0)]


def test_metrics_read_what_the_parts_count() -> None:
    found = read(metrics())
    assert found["gateway_waits_in_flight"] == [({}, 3.0)]
    assert found["gateway_jobs_followed"] == [({}, 13.0)]
    assert found["gateway_waits_total"] == [
        ({"verdict": "ended"}, 7.0),
        ({"verdict": "time_up"}, 2.0),
    ]
    assert found["gateway_upstream_requests_total"] == [
        ({"purpose": "relay", "status": "2xx"}, 11.0),
        ({"purpose": "read", "status": "5xx"}, 1.0),
    ]
    assert found["gateway_upstream_connections"] == [
        ({"state": "busy"}, 1.0),
        ({"state": "idle"}, 4.0),
        ({"state": "queued"}, 1.0),
    ]
    assert found["gateway_limit_verdicts_total"] == [
        ({"limit": "create", "verdict": "refused"}, 3.0),
        ({"limit": "other", "verdict": "admitted"}, 9.0),
    ]
    assert found["gateway_buffered_bytes"] == [({}, 0.0)]
    assert found["gateway_budgets_kept"] == [
        ({"tokens": "known"}, 2.0),
        ({"tokens": "unknown"}, 9.0),
    ]
    assert found["gateway_redis_answering"] == [({}, 0.0)]
    assert found["gateway_redis_failures_total"] == [({}, 2.0)]
    assert found["gateway_budget_decisions_total"] == [
        ({"store": "redis"}, 40.0),
        ({"store": "memory"}, 5.0),
    ]
    assert found["gateway_build_info"][0][0]["version"] == "1.2.3"
    assert found["gateway_build_info"][0][0]["build"] == build()
    assert found["process_start_time_seconds"][0][1] > 0


def test_metrics_tell_of_connections_and_of_what_is_remembered_of_their_tokens() -> None:
    found = read(metrics())
    assert found["gateway_connections_open"] == [({}, 12.0)]
    assert found["gateway_connections_refused_total"] == [
        ({"reason": "descriptors"}, 6.0),
        ({"reason": "connections_per_address"}, 1.0),
    ]
    assert found["gateway_tokens_kept"] == [
        ({"verdict": "accepted"}, 5.0),
        ({"verdict": "rejected"}, 1.0),
    ]
    assert found["gateway_identity_keys_age_seconds"] == [({"source": "jwks"}, 40.0)]


def test_metrics_tell_how_late_ends_were_answered() -> None:
    found = read(metrics())
    assert found["gateway_notice_seconds_sum"] == [({"way": "push"}, 0.3)]
    buckets = {labels["le"]: count for labels, count in found["gateway_notice_seconds_bucket"]}
    assert (buckets["0.25"], buckets["0.5"], buckets["+Inf"]) == (0, 1, 1)


def test_metrics_tell_of_settings_and_of_the_certificate() -> None:
    found = read(metrics())
    assert found["gateway_config_info"] == [({"hash": config_hash(Config())}, 1.0)]
    assert found["gateway_reloads_total"] == [
        ({"verdict": "taken"}, 0.0),
        ({"verdict": "refused"}, 1.0),
    ]
    assert found["gateway_reload_succeeded"] == [({}, 0.0)]
    assert found["gateway_certificate_not_after_seconds"] == [({"listener": "client"}, 1.9e9)]


@pytest.mark.parametrize(("is_connected", "shown"), [(True, 1.0), (False, 0.0)])
def test_metrics_tell_of_push_where_there_is_one(is_connected: bool, shown: float) -> None:
    found = read(metrics(PushStats(is_connected, matched=5, dropped=8, missing=2)))
    assert found["gateway_push_connected"] == [({}, shown)]
    assert found["gateway_push_messages_total"] == [
        ({"outcome": "matched"}, 5.0),
        ({"outcome": "dropped"}, 8.0),
    ]
    assert found["gateway_push_missing_total"] == [({}, 2.0)]
    assert not {name for name in read(metrics()) if "push" in name}


def test_metrics_tell_of_idempotency_keys_where_they_are_in_memory() -> None:
    found = read(metrics())
    assert found["gateway_idempotency_requests_total"] == [
        ({"verdict": "first"}, 3.0),
        ({"verdict": "replayed"}, 2.0),
        ({"verdict": "failed"}, 1.0),
    ]
    assert found["gateway_idempotency_keys"] == [({}, 7.0)]
    assert "gateway_idempotency_keys" not in read(metrics(keys=None))


def test_metrics_tell_of_cancellations() -> None:
    labels = {"reason": "request", "verdict": "cancelled"}
    assert read(metrics())["gateway_cancellations_total"] == [(labels, 5.0)]
    assert read(metrics())["gateway_jobs_tethered"] == [({}, 3.0)]


def test_metrics_show_nothing_of_what_a_request_carried() -> None:
    source = metrics()
    source.observe(
        exchange(
            "eyJx.eyJy.zzz",
            "/very-own-path?access_token=very-own-token",
            request_id="very-own-request",
            job_id="very-own-job",
            address="203.0.113.9",
            status=200,
        )
    )
    page = source.render("")[0].decode()
    assert "very-own" not in page
    assert "eyJ" not in page
    assert "203.0.113.9" not in page


def test_metrics_answer_in_the_form_asked_for() -> None:
    page, content_type = metrics().render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")


def test_metrics_of_two_gateways_in_one_process_are_apart() -> None:
    first, second = metrics(), metrics()
    first.observe(exchange(status=200))
    assert "gateway_requests_total" not in read(second)


OF_THE_SUPERVISOR = {"gateway_workers", "gateway_workers_replaced_total"}
"""``tests/server/supervision/test_vitals.py`` holds these."""


def test_every_metric_of_the_table_is_on_the_page_with_its_labels() -> None:
    source = metrics(PushStats(True, matched=5, dropped=8, missing=2))
    source.observe(exchange(status=401, reason="UnknownToken", held_seconds=0.125))
    found = read(source)
    for row in METRICS:
        if row.name not in OF_THE_SUPERVISOR:
            samples = found[f"{row.name}_sum" if row.type == "histogram" else row.name]
            assert {tuple(labels) for labels, _ in samples} == {row.labels}
