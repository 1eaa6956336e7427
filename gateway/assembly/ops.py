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
from gateway.ops.log.slowness import Slowness
from gateway.ops.log.upstream_watch import UpstreamWatch
from gateway.ops.metrics import parts
from gateway.ops.metrics.metrics import Metrics
from gateway.ops.operators.health import Health
from gateway.ops.operators.vitals import ProcessVitals

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
    """``vitals`` and ``sights`` are for operators. ``is_trusted`` tells whether an address is a
    trusted proxy's, ``sources`` yield the metrics of the other parts. The clocks give seconds:
    monotonic ones, and those since 1970."""

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
        self._is_trusted = is_trusted
        self._is_logging = config.log.access
        self._access_log = AccessLog(
            sys.stdout,
            config.log.format,
            wall_clock,
            leaves_out=leaving_out(config.log, is_trusted),
        )
        metrics = Metrics(__version__, *sources, self._of_access_log)
        callers, failures = Callers(), Failures()
        self._observers: Sequence[Observer] = [
            *observers,
            metrics,
            callers,
            failures,
            LimitNotices(identities.accountable),
        ]
        health = Health(
            clock=clock, is_draining=is_draining, signs=upstream.signs, probe=upstream.probe
        )
        slow_seconds = config.upstream.slow_seconds
        self._watch = UpstreamWatch(
            upstream.signs,
            health.probe_unless_fresh,
            upstream.pool.waiting_since,
            clock,
            Slowness(lambda: upstream.stats().seconds, slow_seconds, clock),
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

    @property
    def observers(self) -> Sequence[Observer]:
        """Those to be told of ended requests, the given ones first."""
        return [*self._observers, self._access_log] if self._is_logging else self._observers

    def reconfigure(self, config: Config) -> None:
        """Log in another form from now on, or not at all."""
        self._is_logging = config.log.access
        self._access_log.reconfigure(
            config.log.format, leaves_out=leaving_out(config.log, self._is_trusted)
        )

    def start(self, tasks: Tasks) -> None:
        """Begin what goes on until ``tasks`` end."""
        flush = partial(_flush, self._access_log, self._flush_seconds)
        tasks.keep(flush, name="flush access log")
        tasks.keep(self._watch.run, name="watch the upstream")

    def close(self) -> None:
        """Write the last lines."""
        self._access_log.close()

    def _of_access_log(self) -> Iterable[Metric]:
        return parts.of_access_log(self._access_log.dropped) if self._is_logging else ()


async def _flush(access_log: AccessLog, gap_seconds: float) -> NoReturn:
    while True:
        await asyncio.sleep(gap_seconds)
        access_log.flush()
