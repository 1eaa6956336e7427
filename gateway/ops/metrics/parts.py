"""What the parts count, as metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.ops.metrics.families import labelled, single

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from gateway.admission.limits.redis_budgets import RedisStats
    from gateway.durations import Durations
    from gateway.ops.metrics.reloads import Reloads
    from gateway.sync.cancellation.canceller import CancelReason, CancelVerdict
    from gateway.sync.idempotency.creations import KeyStats
    from gateway.sync.kept.memory_results import StoreStats
    from gateway.sync.push.hints import PushStats
    from gateway.sync.watch.watcher import WatcherStats
    from gateway.upstream import UpstreamStats


@dataclass(frozen=True, slots=True)
class LimitStats:
    """Requests and connections by (limit, verdict) so far, bytes of jobs and results under way
    now, and what is known of Redis if any."""

    verdicts: Mapping[tuple[str, str], int]
    redis: RedisStats | None = None
    buffered_bytes: int = 0
    budgets: Mapping[str, int] = field(default_factory=dict)
    """Budgets in memory of known and of unknown tokens."""


@dataclass(frozen=True, slots=True)
class IdentityStats:
    """Tokens remembered, by what is known of them; and the age of the keys that tokens are verified
    with, by where they come from."""

    tokens: Mapping[str, int]
    keys_age_seconds: Mapping[str, float]


def of_waits(waits: WatcherStats, followed: int, workflow_lists: int = 0) -> Iterator[Metric]:
    """``followed``: how many jobs are watched for clients that have left; ``workflow_lists``: the
    lists so far that showed where workflows stand."""
    yield single("gateway_waits_in_flight", waits.waiters)
    yield single("gateway_jobs_followed", followed)
    ended = {(verdict.value,): count for verdict, count in waits.verdicts.items()}
    yield labelled("gateway_waits_total", ended)
    looks = {(kind.value,): count for kind, count in waits.looks.items()}
    looks["workflows",] = workflow_lists
    yield labelled("gateway_looks_total", looks)
    yield single("gateway_looks_strangers_total", waits.strangers)


def of_upstream(upstream: UpstreamStats) -> Iterator[Metric]:
    yield labelled("gateway_upstream_requests_total", upstream.requests)
    seconds = {(purpose,): durations for purpose, durations in upstream.seconds.items()}
    yield labelled("gateway_upstream_seconds", seconds)
    pool = upstream.pool
    states = {("busy",): pool.busy, ("idle",): pool.idle, ("queued",): pool.queued}
    yield labelled("gateway_upstream_connections", states)


def of_limits(limits: LimitStats) -> Iterator[Metric]:
    yield labelled("gateway_limit_verdicts_total", limits.verdicts)
    yield single("gateway_buffered_bytes", limits.buffered_bytes)
    kept = {(tokens,): count for tokens, count in limits.budgets.items()}
    yield labelled("gateway_budgets_kept", kept)
    redis = limits.redis
    if redis is None:
        return
    yield single("gateway_redis_answering", redis.is_answering)
    yield single("gateway_redis_failures_total", redis.failures)
    decisions = {("redis",): redis.decisions, ("memory",): redis.fallbacks}
    yield labelled("gateway_budget_decisions_total", decisions)


def of_connections(opened: int, refused: Mapping[str, int]) -> Iterator[Metric]:
    """``opened``: how many are open now; ``refused``: those refused so far, by reason."""
    yield single("gateway_connections_open", opened)
    reasons = {(reason,): count for reason, count in refused.items()}
    yield labelled("gateway_connections_refused_total", reasons)


def of_identities(identities: IdentityStats) -> Iterator[Metric]:
    tokens = {(verdict,): count for verdict, count in identities.tokens.items()}
    yield labelled("gateway_tokens_kept", tokens)
    ages = {(source,): seconds for source, seconds in identities.keys_age_seconds.items()}
    if ages:
        yield labelled("gateway_identity_keys_age_seconds", ages)


def of_notices(seconds: Mapping[str, Durations]) -> Iterator[Metric]:
    """``seconds``: how long ends took to be noticed and answered, by way."""
    ways = {(way,): durations for way, durations in seconds.items()}
    yield labelled("gateway_notice_seconds", ways)


def of_certificates(not_after: Mapping[str, float | None]) -> Iterator[Metric]:
    """``not_after``: the ends of the certificates that listeners show, in seconds since 1970; None
    where there is none, or it is not known."""
    known = {(listener,): end for listener, end in not_after.items() if end is not None}
    if known:
        yield labelled("gateway_certificate_not_after_seconds", known)


def of_settings(reloads: Reloads) -> Iterator[Metric]:
    yield labelled("gateway_config_info", {(reloads.hash,): 1})
    verdicts = {("taken",): reloads.taken, ("refused",): reloads.refused}
    yield labelled("gateway_reloads_total", verdicts)
    yield single("gateway_reload_succeeded", reloads.was_taken)


def of_results(kept: StoreStats | None) -> Iterator[Metric]:
    if kept is None:
        return
    yield single("gateway_results_kept", kept.entries)
    yield single("gateway_results_kept_bytes", kept.bytes)
    given = {(store,): count for store, count in kept.given.items()}
    yield labelled("gateway_results_given_total", given)
    if kept.failures is not None:
        yield single("gateway_result_store_failures_total", kept.failures)


def of_push(push: PushStats) -> Iterator[Metric]:
    yield single("gateway_push_connected", push.is_connected)
    messages = {("matched",): push.matched, ("dropped",): push.dropped}
    yield labelled("gateway_push_messages_total", messages)
    yield single("gateway_push_missing_total", push.missing)


def of_keys(keys: KeyStats) -> Iterator[Metric]:
    verdicts = {(verdict,): count for verdict, count in keys.verdicts.items()}
    yield labelled("gateway_idempotency_requests_total", verdicts)
    if keys.kept is not None:
        yield single("gateway_idempotency_keys", keys.kept)


def of_cancellations(
    counts: Mapping[tuple[CancelReason, CancelVerdict], int], tethered: int
) -> Iterator[Metric]:
    """``tethered``: how many jobs are cancelled unless somebody waits for them."""
    yield single("gateway_jobs_tethered", tethered)
    labels = {(reason.value, verdict.value): count for (reason, verdict), count in counts.items()}
    yield labelled("gateway_cancellations_total", labels)


def of_access_log(lines_dropped: int) -> Iterator[Metric]:
    yield single("gateway_access_log_lines_dropped_total", lines_dropped)


def of_spans(*, exported: int, failed: int, dropped: int) -> Iterator[Metric]:
    results = {("exported",): exported, ("failed",): failed, ("dropped",): dropped}
    yield labelled("gateway_spans_total", results)
