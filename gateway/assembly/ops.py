"""The parts that operators look at: access log, metrics, health."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from gateway import __version__
from gateway.ops.glances.callers import Callers
from gateway.ops.glances.failures import Failures
from gateway.ops.glances.lookout import Lookout
from gateway.ops.glances.sights import ProcessSights
from gateway.ops.log.access_log import AccessLog
from gateway.ops.log.notices import LimitNotices
from gateway.ops.log.sample import leaving_out
from gateway.ops.log.upstream_watch import UpstreamWatch
from gateway.ops.metrics import parts
from gateway.ops.metrics.metrics import Metrics
from gateway.ops.operators.admin import ProcessVitals
from gateway.ops.operators.health import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client.metrics_core import Metric

    from gateway.admission.identity.identities import Identities
    from gateway.config import Config
    from gateway.config.timing import Timing
    from gateway.proxy.pipeline import Observer
    from gateway.sync.watch.watcher import Watcher
    from gateway.tasks import Tasks
    from gateway.upstream import Upstream


class OpsParts:
    """``vitals`` and ``sights`` are for operators, ``observers`` are told of ended requests, the
    given ones first. ``is_trusted`` tells whether an address is a trusted proxy's, ``sources``
    yield the metrics of the other parts. The clocks give seconds: monotonic ones, and those since
    1970."""

    def __init__(
        self,
        config: Config,
        timing: Timing,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        *,
        upstream: Upstream,
        identities: Identities,
        watcher: Watcher,
        is_draining: Callable[[], bool],
        is_trusted: Callable[[str], bool],
        sources: Sequence[Callable[[], Iterable[Metric]]],
        observers: Sequence[Observer],
    ) -> None:
        self._flush_seconds = timing.flush_seconds
        self._access_log = log = (
            AccessLog(
                sys.stdout,
                config.log.format,
                wall_clock,
                leaves_out=leaving_out(config.log, is_trusted),
            )
            if config.log.access
            else None
        )
        if log is not None:
            sources = [*sources, lambda: parts.of_access_log(log.dropped)]
        metrics = Metrics(__version__, *sources)
        callers, failures = Callers(), Failures()
        self.observers: list[Observer] = [
            *observers,
            metrics,
            callers,
            failures,
            LimitNotices(identities.accountable),
            *([] if log is None else [log]),
        ]
        health = Health(
            clock=clock, is_draining=is_draining, signs=upstream.signs, probe=upstream.probe
        )
        self._watch = UpstreamWatch(
            upstream.signs, health.probe_unless_fresh, upstream.pool.waiting_since, clock
        )
        self.vitals = ProcessVitals(health, metrics)
        self.sights = ProcessSights(
            Lookout(
                clock,
                wall_clock,
                metrics=metrics.families,
                watcher=watcher,
                callers=callers,
                failures=failures,
                signs=upstream.signs,
            )
        )

    def start(self, tasks: Tasks) -> None:
        """Begin what goes on until ``tasks`` end."""
        if self._access_log is not None:
            flush = partial(_flush, self._access_log, self._flush_seconds)
            tasks.keep(flush, name="flush access log")
        tasks.keep(self._watch.run, name="watch the upstream")

    def close(self) -> None:
        """Write the last lines."""
        if self._access_log is not None:
            self._access_log.close()


async def _flush(access_log: AccessLog, gap_seconds: float) -> NoReturn:
    while True:
        await asyncio.sleep(gap_seconds)
        access_log.flush()
