"""Sees what goes on in this process, when an operator asks; until then it costs nothing."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from gateway.ops.glances.glance import (
    CALLERS,
    FAILURES,
    TASKS,
    WAITS,
    CallerRow,
    FailureRow,
    Figures,
    Glance,
    TaskRow,
    WaitRow,
    Waits,
)
from gateway.ops.log.upstream_watch import trouble
from gateway.ops.log.visible import shown_address, shown_name, shown_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.metrics_core import Metric

    from gateway.admission.identity.identities import Identity
    from gateway.ops.glances.callers import Caller, Callers
    from gateway.ops.glances.failures import Failure, Failures
    from gateway.sync.looks.run_times import TaskRuns
    from gateway.sync.watch.state import OpenWait
    from gateway.sync.watch.watcher import Watcher
    from gateway.upstream.signs import Signs

SHOWN: Final = frozenset(
    {
        "gateway_requests_total",
        "gateway_errors_total",
        "gateway_waits_in_flight",
        "gateway_notice_seconds_bucket",
        "gateway_upstream_requests_total",
        "gateway_upstream_seconds_bucket",
        "gateway_upstream_connections",
        "gateway_results_kept",
        "gateway_results_kept_bytes",
        "gateway_idempotency_keys",
        "gateway_budgets_kept",
        "gateway_tokens_kept",
        "gateway_jobs_tethered",
        "gateway_jobs_followed",
        "gateway_buffered_bytes",
        "gateway_connections_open",
        "gateway_redis_answering",
        "gateway_push_connected",
    }
)
"""Samples of metrics that the page shows something of."""


class Lookout:
    """``metrics`` gives those of the gateway's own. The clocks give seconds: monotonic ones, which
    the parts' times are in, and those since 1970."""

    def __init__(
        self,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        *,
        metrics: Callable[[], Iterable[Metric]],
        watcher: Watcher,
        callers: Callers,
        failures: Failures,
        signs: Signs,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._metrics = metrics
        self._watcher = watcher
        self._callers = callers
        self._failures = failures
        self._signs = signs
        self._began = clock()

    def glance(self) -> Glance:
        """All that the page shows of this process."""
        now = self._clock()
        found = trouble(self._signs, now)
        since_1970 = self._wall_clock() - now
        return Glance(
            at=now + since_1970,
            seconds=now - self._began,
            trouble="" if found is None else found.value,
            figures=figures(self._metrics()),
            waits=self.waits(WAITS),
            tasks=[_task_row(runs) for runs in self._watcher.runs(TASKS)],
            callers=[_caller_row(one) for one in self._callers.busiest(CALLERS, now)],
            failures=[_failure_row(one, since_1970) for one in self._failures.last(FAILURES)],
        )

    def waits(self, most: int) -> Waits:
        """Who waits: half of ``most`` are those that wait the longest, half those the shortest."""
        since_1970 = self._wall_clock() - self._clock()
        rows = [_wait_row(wait, since_1970) for wait in self._watcher.waits(most)]
        return Waits(self._watcher.stats().waiters, rows)


def figures(metrics: Iterable[Metric]) -> Figures:
    """The values of the samples that are shown."""
    found: Figures = {}
    for metric in metrics:
        for sample in metric.samples:
            if sample.name in SHOWN:
                found.setdefault(sample.name, {})[" ".join(sample.labels.values())] = sample.value
    return found


def _wait_row(wait: OpenWait, since_1970: float) -> WaitRow:
    request, look = wait.request, wait.look
    organization, task = wait.task or ("", "")
    unended_at = None
    if look is not None and look.unended_at > 0:
        unended_at = look.unended_at + since_1970
    return WaitRow(
        job_id=shown_word(wait.job_id),
        organization=shown_name(organization)
        or ("" if request is None else _organization(request.identity)),
        task=shown_word(task),
        token_hash="" if request is None else _token_hash(request.identity),
        request_id="" if request is None else shown_word(request.request_id),
        hop=0 if request is None else request.hop,
        since=wait.since + since_1970,
        held_since=wait.began + since_1970,
        look="" if look is None else look.cover.value,
        unended_at=unended_at,
    )


def _task_row(runs: TaskRuns) -> TaskRow:
    organization, task = runs.task
    usual = runs.usual
    return TaskRow(
        organization=shown_name(organization),
        task=shown_word(task),
        runs=len(runs.seconds),
        last=runs.seconds[-1],
        median=median(runs.seconds),
        early=None if usual is None else usual.early,
        late=None if usual is None else usual.late,
    )


def _caller_row(caller: Caller) -> CallerRow:
    token_hash = _token_hash(caller.identity)
    return CallerRow(
        token_hash=token_hash,
        address="" if token_hash else shown_address(caller.address),
        organization=_organization(caller.identity),
        requests=caller.requests,
        refused=caller.refused,
    )


def _failure_row(failure: Failure, since_1970: float) -> FailureRow:
    return FailureRow(
        at=failure.finished + since_1970,
        request_id=failure.request_id,
        kind=failure.kind,
        method=failure.method,
        target=failure.target,
        status=failure.status,
        reason=failure.reason,
        upstream_status=failure.upstream_status,
        job_id=failure.job_id,
        token_hash=_token_hash(failure.identity),
        organization=_organization(failure.identity),
        user_agent=failure.user_agent,
    )


def _token_hash(identity: Identity) -> str:
    return "" if identity.token_hash is None else identity.token_hash.hex()


def _organization(identity: Identity) -> str:
    return shown_name(identity.customer) if identity.is_verified else ""
