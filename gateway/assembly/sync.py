"""The parts of the wait: jobs that are created, watched and read, and what is kept of them."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from gateway.ops.metrics import parts
from gateway.redis import client as redis_client
from gateway.sync.cancellation.canceller import Canceller
from gateway.sync.cancellation.deletion import ResultDeletion
from gateway.sync.cancellation.job_cancel import JobCancels
from gateway.sync.create import CreateAndWait
from gateway.sync.created_hold import CreatedHold
from gateway.sync.following.following import Following
from gateway.sync.held_job import JobHold
from gateway.sync.hold import ResultHold
from gateway.sync.idempotency.creations import KeyedCreations
from gateway.sync.jobs.client_reads import ClientReads
from gateway.sync.jobs.creation import Creator, created_job
from gateway.sync.jobs.reader import JobReader
from gateway.sync.jobs.result_reader import ResultReader
from gateway.sync.kept.result_store import result_store
from gateway.sync.kept.results import Results
from gateway.sync.keys.stores import key_store
from gateway.sync.looks.lessons import Lessons
from gateway.sync.push.hints import Push
from gateway.sync.push.lateness import Lateness
from gateway.sync.push.subscription import Subscription
from gateway.sync.results.formatter import Formatter
from gateway.sync.results.parsing import ParsingThread
from gateway.sync.snapshots import Snapshots
from gateway.sync.tethers.abandonment import Abandonment
from gateway.sync.tethers.sharing import obstacle, shared_tethers
from gateway.sync.tethers.tethered import TetheredCreation, TetheredHold
from gateway.sync.tethers.tethers import Tethers
from gateway.sync.tethers.tidings import Tidings
from gateway.sync.watch.watcher import Watcher
from gateway.sync.workflows.graphs import Graphs
from gateway.sync.workflows.reader import WorkflowReader, by_kind
from gateway.sync.workflows.shared_lists import SharedLists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from gateway.admission.identity.identities import Identities
    from gateway.admission.limits.buffers import Buffers
    from gateway.config import Config
    from gateway.config.timing import Timing
    from gateway.protocols.theeye.job import Job
    from gateway.proxy.checks import Checks
    from gateway.proxy.forwarding import Forwarding
    from gateway.sync.jobs.reader import Requester
    from gateway.tasks import Tasks
    from gateway.tracing.waits import TracedWaits
    from gateway.upstream.messages.messages import UpstreamResponse


class SyncParts:
    """``create`` and ``hold`` take the requests that wait, ``deletion`` those that cancel a job;
    ``watcher`` knows the jobs waited for, ``results`` those that ended, ``keyed`` what was created
    with a key; ``push`` is None where the settings want none. ``waits``: the traced ones, None
    where nothing is traced. ``clock`` gives monotonic seconds, ``wall_clock`` those since 1970."""

    def __init__(
        self,
        config: Config,
        timing: Timing,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        *,
        upstream: Requester,
        waits: TracedWaits | None,
        forwarding: Forwarding,
        identities: Identities,
        checks: Checks,
        buffers: Buffers,
    ) -> None:
        largest = config.limits.result_bytes
        self._thread = ParsingThread()
        orchestrator = self._orchestrator = JobReader(
            upstream, buffers, self._thread, largest, waits
        )
        self.watcher = Watcher(orchestrator, clock, random.random, config.sync)
        self.push = _push(config, timing, self.watcher, clock)
        reads = self._reads = ClientReads(upstream, buffers, largest)
        of_job = ResultReader(orchestrator, reads).read
        self._workflow_lists = SharedLists(upstream, buffers, wall_clock, waits)
        self._workflows = WorkflowReader(
            reads,
            buffers,
            self._workflow_lists,
            Graphs(upstream, buffers, clock),
            of_job,
            thread=self._thread,
            clock=clock,
            wall_clock=wall_clock,
            quiet_seconds=config.sync.workflow_quiet_seconds,
        )
        self.results = Results(
            by_kind(of_job, self._workflows.read),
            result_store(config, self._thread, clock, random.random),
        )
        told = self.push.was_told if self.push is not None else None
        self._lateness = Lateness(clock, wall_clock, told)
        lessons = Lessons(self.watcher.learn, self.push.ended if self.push is not None else None)
        self._following = Following(
            self.watcher,
            self.results,
            lessons,
            clock,
            config.sync,
            return_seconds=timing.return_seconds,
        )
        self._formatter = Formatter(self._thread, config.sync)
        jobs = JobHold(
            self.results,
            self.watcher,
            identities.answered,
            clock,
            formatter=self._formatter,
            following=self._following,
            lessons=lessons,
            lateness=self._lateness,
        )
        self.keyed = KeyedCreations(
            key_store(config, clock, random.random),
            self.results.of_client,
            self._created_job,
            clock,
            timing.fresh_seconds,
        )
        self._redis = config.redis
        self._keeps_keys = config.sync.idempotency_seconds > 0
        self._response_seconds = config.upstream.response_seconds
        self._canceller = Canceller(self.watcher.hint)
        cancels = JobCancels(
            upstream, partial(self.results.read, has_ended=False, output_only=True)
        )
        self.deletion = ResultDeletion(self._canceller, cancels, identities.answered, config.sync)
        shared = shared_tethers(config, clock, random.random)
        self._tethers = Tethers(
            Abandonment(self._canceller, cancels.way, shared, config.sync.abandon_seconds),
            Tidings(shared, config.sync.abandon_seconds),
            clock,
            config.sync,
            obstacle=obstacle(config),
        )
        created_hold = self._created_hold = CreatedHold(
            jobs, self._following, self.watcher, config.sync
        )
        self._creator = Creator(upstream, forwarding.outbound, buffers, largest)
        self.create = CreateAndWait(
            self._creator,
            identities.answered,
            place=checks.place,
            hold=created_hold,
            config=config.sync,
            limits=config.limits,
            keyed=self.keyed,
            tying=TetheredCreation(created_hold, self._tethers, self._created_job),
        )
        snapshots = Snapshots(self.watcher.may_resume, clock)
        self._result_hold = ResultHold(jobs, snapshots, self.watcher, buffers, config.sync)
        self.hold = TetheredHold(self._result_hold, self._tethers)

    def reconfigure(self, config: Config, seal_keys: Sequence[bytes] = ()) -> None:
        """Go on by other settings: with the waits, jobs and results that there are, as far as they
        fit; what was told to a client holds. ``seal_keys`` are for results in Redis, if they may be
        other ones."""
        sync, limits = config.sync, config.limits
        self._orchestrator.reconfigure(limits.result_bytes)
        self._reads.reconfigure(limits.result_bytes)
        self._creator.reconfigure(limits.result_bytes)
        self.watcher.reconfigure(sync)
        self._workflows.reconfigure(sync.workflow_quiet_seconds)
        self.results.reconfigure(sync, seal_keys)
        self._following.reconfigure(sync)
        self._formatter.reconfigure(sync)
        if sync.idempotency_seconds > 0:
            # Else requests under way still have theirs, and none begins with one.
            self.keyed.reconfigure(sync)
        self.deletion.reconfigure(sync)
        self._tethers.reconfigure(sync)
        self._created_hold.reconfigure(sync)
        self._result_hold.reconfigure(sync)
        self.create.reconfigure(sync, limits)

    def start(self, tasks: Tasks) -> None:
        """Begin what goes on by itself, in ``tasks`` or until ``aclose``."""
        if self.push is not None:
            self.push.start()
        self._tethers.start()
        if self._redis.url and self._keeps_keys:
            from gateway.redis.eviction import warn_of_eviction  # noqa: PLC0415 - an extra

            tasks.spawn(warn_of_eviction(self._redis), name="look at Redis's policy")

    def drain(self) -> None:
        """Hand back all who wait: others go on with them."""
        self._tethers.drain()
        self.watcher.drain()

    async def aclose(self) -> None:
        """End all waits and forget all results; a creation that was sent is read to its end."""
        if self.push is not None:
            await self.push.aclose()
        await self._following.aclose()
        await self.watcher.aclose()
        await self.create.aclose(self._response_seconds)
        await self._tethers.aclose()
        await self._canceller.aclose(self._response_seconds)
        await self._workflows.aclose()
        await self.results.aclose()
        self._thread.close()

    def _created_job(self, reply: UpstreamResponse) -> Job | None:
        return created_job(reply, self._creator.max_bytes)

    def metrics(self) -> Iterator[Metric]:
        yield from parts.of_waits(
            self.watcher.stats(), len(self._following), self._workflow_lists.sent
        )
        yield from parts.of_notices(self._lateness.seconds)
        yield from parts.of_results(self.results.stats())
        yield from parts.of_keys(self.keyed.stats())
        yield from parts.of_cancellations(self._canceller.stats(), len(self._tethers))
        if self.push is not None:
            yield from parts.of_push(self.push.stats())


def _push(
    config: Config, timing: Timing, watcher: Watcher, clock: Callable[[], float]
) -> Push | None:
    if not config.redis.url:
        return None
    return Push(
        lambda: Subscription(redis_client.connection(config.redis)),
        watcher,
        clock,
        random.random,
        ping_seconds=config.redis.ping_seconds,
        open_seconds=config.redis.connect_seconds,
        late_seconds=timing.late_seconds,
    )
