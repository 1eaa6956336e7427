"""What the gateway needs and keeps: the orchestrator, stores, Redis, files, processes."""

from __future__ import annotations

from gateway.ops.metrics.row import Row

OF_PARTS: tuple[Row, ...] = (
    Row(
        "gateway_upstream_requests_total",
        "counter",
        ("purpose", "status"),
        "stable",
        "Requests to the orchestrator by purpose (relay, create, read, poll, cancel, probe) and"
        " status class, or failed.",
    ),
    Row(
        "gateway_upstream_seconds",
        "histogram",
        ("purpose",),
        "stable",
        "How long the orchestrator took to begin its answers, or to fail.",
    ),
    Row(
        "gateway_upstream_connections",
        "gauge",
        ("state",),
        "stable",
        "Connections to the orchestrator (busy, idle), and requests that wait for one (queued).",
    ),
    Row(
        "gateway_results_kept",
        "gauge",
        (),
        "stable",
        "Results kept in memory for clients that may come back; none where sync.result_store is"
        " off.",
    ),
    Row(
        "gateway_results_kept_bytes",
        "gauge",
        (),
        "stable",
        "Memory that they take, of sync.result_store_bytes.",
    ),
    Row(
        "gateway_results_given_total",
        "counter",
        ("store",),
        "may change",
        "Results given of jobs that the orchestrator has removed, by where they were (memory,"
        " redis).",
    ),
    Row(
        "gateway_result_store_failures_total",
        "counter",
        (),
        "stable",
        "Results that Redis did not take, or did not say whether it has; only where they are"
        " kept there.",
    ),
    Row(
        "gateway_idempotency_keys",
        "gauge",
        (),
        "may change",
        "Idempotency keys kept in memory; none where Redis keeps them.",
    ),
    Row(
        "gateway_budgets_kept",
        "gauge",
        ("tokens",),
        "may change",
        "Budgets kept in memory, of tokens that the orchestrator has accepted and of others"
        " (known, unknown); only without workers, which share a table that does not grow.",
    ),
    Row(
        "gateway_tokens_kept",
        "gauge",
        ("verdict",),
        "may change",
        "Tokens remembered, by their hash (accepted by the orchestrator, or verified; rejected"
        " by it).",
    ),
    Row(
        "gateway_redis_answering",
        "gauge",
        (),
        "stable",
        "Whether Redis answers, 1 or 0 for each worker; only where one is configured.",
    ),
    Row(
        "gateway_redis_failures_total",
        "counter",
        (),
        "stable",
        "How often Redis has stopped answering.",
    ),
    Row(
        "gateway_budget_decisions_total",
        "counter",
        ("store",),
        "may change",
        "Decisions on rates by who made them (redis, memory).",
    ),
    Row(
        "gateway_push_connected",
        "gauge",
        (),
        "stable",
        "Whether Redis tells of ends of jobs, 1 or 0; of several workers how many it tells.",
    ),
    Row(
        "gateway_push_messages_total",
        "counter",
        ("outcome",),
        "may change",
        "Messages of Redis by what became of them (matched: names a job; dropped).",
    ),
    Row(
        "gateway_push_missing_total",
        "counter",
        (),
        "stable",
        "Jobs that were waited for and ended without a message.",
    ),
    Row(
        "gateway_access_log_lines_dropped_total",
        "counter",
        (),
        "stable",
        "Lines that the access log could not write fast enough, or at all.",
    ),
    Row(
        "gateway_spans_total",
        "counter",
        ("result",),
        "stable",
        "Spans of traces by what became of them (exported, failed: the collector did not take them,"
        " dropped: the queue was full); only with traces.endpoint.",
    ),
    Row(
        "gateway_certificate_not_after_seconds",
        "gauge",
        ("listener",),
        "stable",
        "When the certificate ends that a listener (client, admin) shows, or one of those below"
        " it if that is sooner: seconds since 1970; only with TLS. Of several workers the"
        " soonest.",
        "least",
    ),
    Row(
        "gateway_identity_keys_age_seconds",
        "gauge",
        ("source",),
        "stable",
        "How long ago the keys that tokens are verified with were read (file) or fetched"
        " (jwks), or since the start if never; only where there is one of these. Of several"
        " workers the longest.",
        "greatest",
    ),
    Row(
        "gateway_config_info",
        "info",
        ("hash",),
        "stable",
        "A hash of the settings in force, without secrets: equal where these are.",
    ),
    Row(
        "gateway_reloads_total",
        "counter",
        ("verdict",),
        "stable",
        "Reloads by what came of them (taken, refused); each worker counts its own.",
    ),
    Row(
        "gateway_reload_succeeded",
        "gauge",
        (),
        "stable",
        "Whether the last reload was taken, 1 or 0; 1 before the first. Of several workers 0 if"
        " one says so.",
        "least",
    ),
    Row("gateway_workers", "gauge", (), "stable", "Worker processes; only with several."),
    Row(
        "gateway_workers_replaced_total",
        "counter",
        (),
        "stable",
        "Worker processes that ended without having been told to; only with several.",
    ),
)
