"""Every metric of the gateway's own, as the pages have them and the documents tell them."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Row(NamedTuple):
    """A metric: its name as Prometheus shows it, its labels, and its meaning for operators."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str


METRICS: tuple[Row, ...] = (
    Row(
        "gateway_requests_total",
        "counter",
        ("kind", "method", "status"),
        "Requests by kind (relay, websocket, create, result, cancel, refused), method and status"
        " class.",
    ),
    Row(
        "gateway_request_handling_seconds",
        "histogram",
        ("kind",),
        "How long requests took, without the time they were held waiting for a job.",
    ),
    Row(
        "gateway_request_held_seconds",
        "histogram",
        (),
        "How long requests were held waiting for a job, of those that were held.",
    ),
    Row("gateway_waits_in_flight", "gauge", (), "Clients waiting for a job."),
    Row(
        "gateway_jobs_followed",
        "gauge",
        (),
        "Jobs that are watched on after their clients have left, at most sync.follow_jobs.",
    ),
    Row(
        "gateway_waits_total",
        "counter",
        ("verdict",),
        "Waits for a job by how they ended (ended, time_up, drained).",
    ),
    Row(
        "gateway_looks_total",
        "counter",
        ("kind",),
        "Requests that see whether jobs have ended (job, list of ids, range of ids, workflows).",
    ),
    Row(
        "gateway_looks_strangers_total",
        "counter",
        (),
        "Ended jobs that lists of a range returned and nobody waits for.",
    ),
    Row(
        "gateway_upstream_requests_total",
        "counter",
        ("purpose", "status"),
        "Requests to the orchestrator by purpose (relay, create, read, poll, cancel, probe) and"
        " status class, or failed.",
    ),
    Row(
        "gateway_upstream_seconds",
        "histogram",
        ("purpose",),
        "How long the orchestrator took to begin its answers, or to fail.",
    ),
    Row(
        "gateway_upstream_connections",
        "gauge",
        ("state",),
        "Connections to the orchestrator (busy, idle), and requests that wait for one (queued).",
    ),
    Row(
        "gateway_limit_verdicts_total",
        "counter",
        ("limit", "verdict"),
        "Requests by what a limit (create, result, other, unknown_token, holds, buffered_bytes and"
        " others)"
        " said of them (admitted, refused, reported); of connections only those over theirs.",
    ),
    Row(
        "gateway_buffered_bytes",
        "gauge",
        (),
        "Memory that jobs and results under way take, of limits.buffered_bytes.",
    ),
    Row(
        "gateway_results_kept",
        "gauge",
        (),
        "Results kept in memory for clients that may come back; none where sync.result_store is"
        " off.",
    ),
    Row(
        "gateway_results_kept_bytes",
        "gauge",
        (),
        "Memory that they take, of sync.result_store_bytes.",
    ),
    Row(
        "gateway_results_given_total",
        "counter",
        ("store",),
        "Results given of jobs that the orchestrator has removed, by where they were (memory,"
        " redis).",
    ),
    Row(
        "gateway_result_store_failures_total",
        "counter",
        (),
        "Results that Redis did not take, or did not say whether it has; only where they are kept"
        " there.",
    ),
    Row(
        "gateway_connections_refused_total",
        "counter",
        (),
        "Clients' connections that got 503 for want of file descriptors.",
    ),
    Row(
        "gateway_errors_total",
        "counter",
        ("reason",),
        "Requests that did not get what they asked for by the gateway's doing, by reason as in the"
        " access log; UnknownToken is a token that is refused from memory.",
    ),
    Row(
        "gateway_access_log_lines_dropped_total",
        "counter",
        (),
        "Lines that the access log could not write fast enough, or at all.",
    ),
    Row(
        "gateway_redis_answering",
        "gauge",
        (),
        "Whether Redis answers, 1 or 0 for each worker; only where one is configured.",
    ),
    Row("gateway_redis_failures_total", "counter", (), "How often Redis has stopped answering."),
    Row(
        "gateway_budget_decisions_total",
        "counter",
        ("store",),
        "Decisions on rates by who made them (redis, memory).",
    ),
    Row(
        "gateway_push_connected",
        "gauge",
        (),
        "Whether Redis tells of ends of jobs, 1 or 0; of several workers how many it tells.",
    ),
    Row(
        "gateway_push_messages_total",
        "counter",
        ("outcome",),
        "Messages of Redis by what became of them (matched: names a job; dropped).",
    ),
    Row(
        "gateway_push_missing_total",
        "counter",
        (),
        "Jobs that were waited for and ended without a message.",
    ),
    Row(
        "gateway_idempotency_requests_total",
        "counter",
        ("verdict",),
        "Requests with an Idempotency-Key by what they came to (first, replayed, failed); the codes"
        " of those that failed are reasons of gateway_errors_total.",
    ),
    Row(
        "gateway_idempotency_keys",
        "gauge",
        (),
        "Idempotency keys kept in memory; none where Redis keeps them.",
    ),
    Row(
        "gateway_jobs_tethered",
        "gauge",
        (),
        "Jobs that are cancelled when their clients stop waiting, and are waited for, or were a"
        " moment ago.",
    ),
    Row(
        "gateway_cancellations_total",
        "counter",
        ("reason", "verdict"),
        "Jobs to be cancelled by why (request, timeout, disconnect) and by what came of it"
        " (cancelled, ended, refused, withdrawn, failed).",
    ),
    Row("gateway_workers", "gauge", (), "Worker processes; only with several."),
    Row(
        "gateway_workers_replaced_total",
        "counter",
        (),
        "Worker processes that ended without having been told to; only with several.",
    ),
)
