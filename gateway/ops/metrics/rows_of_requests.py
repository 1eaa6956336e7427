"""What clients sent, and what became of it."""

from __future__ import annotations

from gateway.ops.metrics.row import Row

OF_REQUESTS: tuple[Row, ...] = (
    Row(
        "gateway_requests_total",
        "counter",
        ("kind", "method", "status"),
        "stable",
        "Requests by kind (relay, websocket, create, result, cancel, refused), method and"
        " status class.",
    ),
    Row(
        "gateway_request_handling_seconds",
        "histogram",
        ("kind",),
        "stable",
        "How long requests took, without the time they were held waiting for a job.",
    ),
    Row(
        "gateway_request_held_seconds",
        "histogram",
        (),
        "stable",
        "How long requests were held waiting for a job, of those that were held.",
    ),
    Row(
        "gateway_errors_total",
        "counter",
        ("reason",),
        "stable",
        "Requests that did not get what they asked for by the gateway's doing, by reason as in"
        " the access log; UnknownToken is a token that is refused from memory.",
    ),
    Row("gateway_waits_in_flight", "gauge", (), "stable", "Clients waiting for a job."),
    Row(
        "gateway_waits_total",
        "counter",
        ("verdict",),
        "stable",
        "Waits for a job by how they ended (ended, time_up, drained).",
    ),
    Row(
        "gateway_notice_seconds",
        "histogram",
        ("way",),
        "stable",
        "How long requests were held on after their jobs had ended, to the result, by whether"
        " Redis had told of the end by then (push) or not (poll); see below.",
    ),
    Row(
        "gateway_jobs_followed",
        "gauge",
        (),
        "stable",
        "Jobs that are watched on after their clients have left, at most sync.follow_jobs.",
    ),
    Row(
        "gateway_looks_total",
        "counter",
        ("kind",),
        "may change",
        "Requests that see whether jobs have ended (job, list of ids, range of ids, workflows).",
    ),
    Row(
        "gateway_looks_strangers_total",
        "counter",
        (),
        "may change",
        "Ended jobs that lists of a range returned and nobody waits for.",
    ),
    Row(
        "gateway_idempotency_requests_total",
        "counter",
        ("verdict",),
        "stable",
        "Requests with an Idempotency-Key by what they came to (first, replayed, failed); the"
        " codes of those that failed are reasons of gateway_errors_total.",
    ),
    Row(
        "gateway_jobs_tethered",
        "gauge",
        (),
        "stable",
        "Jobs that are cancelled when their clients stop waiting, and are waited for, or were a"
        " moment ago.",
    ),
    Row(
        "gateway_cancellations_total",
        "counter",
        ("reason", "verdict"),
        "stable",
        "Jobs to be cancelled by why (request, timeout, disconnect) and by what came of it"
        " (cancelled, ended, refused, withdrawn, failed).",
    ),
    Row(
        "gateway_limit_verdicts_total",
        "counter",
        ("limit", "verdict"),
        "stable",
        "Requests by what a limit (create, result, other, unknown_token, holds, buffered_bytes"
        " and others) said of them (admitted, refused, reported); of connections only those"
        " over theirs.",
    ),
    Row(
        "gateway_buffered_bytes",
        "gauge",
        (),
        "stable",
        "Memory that jobs and results under way take, of limits.buffered_bytes.",
    ),
    Row("gateway_connections_open", "gauge", (), "stable", "Clients' connections that are open."),
    Row(
        "gateway_connections_refused_total",
        "counter",
        ("reason",),
        "stable",
        "Clients' connections that were not served, by what there were too many for:"
        " descriptors (they got 503), connections_per_address (429, or nothing).",
    ),
)
