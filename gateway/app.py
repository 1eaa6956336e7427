"""Builds every part and joins them: the only module that knows them all."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Self

from msgspec import structs

from gateway import __version__, descriptors, redis_client
from gateway.admission.connections import Connections
from gateway.admission.identity.identities import Identities
from gateway.admission.identity.keys import FileKey, keys_of
from gateway.admission.limits.buffers import BUFFERED_BYTES, Buffers
from gateway.admission.limits.holds import Holds
from gateway.admission.limits.memory_budgets import MemoryBudgets
from gateway.admission.limits.rules import Rules
from gateway.config.timing import USUAL, Timing
from gateway.downstream.listener import ClientListener
from gateway.downstream.listening.places import Places
from gateway.downstream.listening.seat import CONNECTIONS
from gateway.ops import parts
from gateway.ops.admin import ProcessVitals
from gateway.ops.health import Health
from gateway.ops.log.access_log import AccessLog
from gateway.ops.log.notices import LimitNotices
from gateway.ops.log.upstream_watch import UpstreamWatch
from gateway.ops.metrics import Metrics
from gateway.proxy.checks import Checks
from gateway.proxy.cycle import cycles_on
from gateway.proxy.forwarding import Forwarding
from gateway.proxy.limits import Limits
from gateway.proxy.pipeline import Observer, Pipeline
from gateway.proxy.refusals import SHARE
from gateway.proxy.relay import Relay
from gateway.proxy.websocket import WebSocketRelay
from gateway.sync.create import CreateAndWait, created_job
from gateway.sync.created_hold import CreatedHold
from gateway.sync.held_job import JobHold
from gateway.sync.hold import ResultHold
from gateway.sync.idempotency.creations import KeyedCreations
from gateway.sync.idempotency.stores import key_store
from gateway.sync.jobs.creation import Creator
from gateway.sync.jobs.reader import JobReader
from gateway.sync.jobs.result_reader import ResultReader
from gateway.sync.kept.result_store import result_store
from gateway.sync.kept.results import Results
from gateway.sync.preflight import Preflights
from gateway.sync.push.hints import Push
from gateway.sync.push.subscription import Subscription
from gateway.sync.results.formatter import Formatter
from gateway.sync.results.parsing import ParsingThread
from gateway.sync.watch.watcher import Watcher
from gateway.tasks import Tasks
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.limits.redis_budgets import RedisBudgets
    from gateway.config import Config


class Gateway:
    """All parts, joined; an ``async with`` block is its life. ``listener`` takes connections as far
    as there are ``places``, ``vitals`` are for operators, ``observers`` told of ended requests."""

    def __init__(
        self, config: Config, observers: Sequence[Observer] = (), timing: Timing = USUAL
    ) -> None:
        clock, wall_clock = time.monotonic, time.time  # noqa: TID251 - here clocks come from
        self._config = config
        self._timing = timing
        self._tasks = Tasks()
        allotment = descriptors.allotted(descriptors.limit(), config)
        self.places = Places(allotment.clients)
        self._upstream = upstream = Upstream(
            structs.replace(config.upstream, max_connections=allotment.upstream), clock
        )
        forwarding = Forwarding(
            config.listen.trusted_proxies,
            upstream.host,
            preserve_host=config.upstream.preserve_host,
        )
        self._keys = keys_of(config.identity, clock, timing.key_gap_seconds)
        identities = Identities(
            config.identity, self._keys, clock, wall_clock, timing.trial_seconds
        )
        answered = identities.answered
        memory = MemoryBudgets()
        self._shared = _shared_budgets(config, memory, clock)
        self._limits = _limits(config, memory, self._shared, identities, clock)
        self._connections = (
            None
            if self._limits is None
            else Connections(config.limits.connections_per_address, forwarding.is_trusted)
        )
        largest = config.limits.result_bytes
        self._buffers = buffers = Buffers(config.limits.buffered_bytes, largest)
        self._thread = ParsingThread()
        orchestrator = JobReader(upstream, buffers, self._thread, largest)
        self._watcher = Watcher(orchestrator, clock, random.random, config.sync)
        self._push = (
            Push(
                lambda: Subscription(redis_client.connection(config.redis)),
                self._watcher,
                clock,
                random.random,
                ping_seconds=config.redis.ping_seconds,
                open_seconds=config.redis.connect_seconds,
                late_seconds=timing.late_seconds,
            )
            if config.redis.url
            else None
        )
        stored = result_store(config, self._thread, clock, random.random)
        self._results = Results(ResultReader(orchestrator, upstream, buffers, largest).read, stored)
        jobs = JobHold(
            self._results,
            self._watcher,
            answered,
            clock,
            formatter=Formatter(self._thread, config.sync),
            ended=self._push.ended if self._push is not None else None,
        )
        checks = Checks(config.limits.fields_bytes, identities, self._limits, clock)
        self._keyed = KeyedCreations(
            key_store(config, clock, random.random),
            self._results.of_client,
            partial(created_job, max_bytes=largest),
            clock,
            timing.fresh_seconds,
        )
        self._create = CreateAndWait(
            Creator(upstream, forwarding.outbound, buffers, largest),
            answered,
            place=checks.place,
            hold=CreatedHold(jobs, self._watcher, config.sync),
            config=config.sync,
            limits=config.limits,
            keyed=self._keyed if config.sync.idempotency_seconds > 0 else None,
        )
        self._access_log = log = (
            AccessLog(sys.stdout, config.log.format, wall_clock) if config.log.access else None
        )
        sources = [
            lambda: parts.of_waits(self._watcher.stats()),
            lambda: parts.of_upstream(upstream.stats()),
            lambda: parts.of_limits(self._limit_stats()),
            lambda: parts.of_results(self._results.stats()),
            lambda: parts.of_keys(self._keyed.stats()),
        ]
        if (push := self._push) is not None:
            sources.append(lambda: parts.of_push(push.stats()))
        if log is not None:
            sources.append(lambda: parts.of_access_log(log.dropped))
        self._metrics = Metrics(__version__, *sources)
        told = [*observers, self._metrics, LimitNotices(identities.accountable)]
        if self._access_log is not None:
            told.append(self._access_log)
        relay = Relay(upstream, forwarding, identities)
        self._pipeline = Pipeline(
            forwarding=forwarding,
            checks=checks,
            relay=relay,
            websocket=WebSocketRelay(
                upstream, forwarding, identities, config.upstream.tunnel_idle_seconds
            ),
            create=self._create,
            hold=ResultHold(jobs, self._watcher, buffers, config.sync),
            preflights=Preflights(relay.forwarded),
            observers=told,
            clock=clock,
            secret_routes=config.sync.secret_routes,
        )
        health = Health(
            clock=clock,
            is_draining=lambda: self._pipeline.is_draining,
            signs=upstream.signs,
            probe=upstream.probe,
        )
        self._watch = UpstreamWatch(
            upstream.signs, health.probe_unless_fresh, upstream.pool.waiting_since, clock
        )
        accept = cycles_on(self._pipeline)
        self.listener = ClientListener(
            accept,
            config.listen,
            config.limits,
            self._connections,
            self.places,
            spare_seconds=timing.spare_seconds,
        )
        self.vitals = ProcessVitals(health, self._metrics)

    async def __aenter__(self) -> Self:
        if self._push is not None:
            self._push.start()
        if self._access_log is not None:
            flush = partial(_flush, self._access_log, self._timing.flush_seconds)
            self._tasks.keep(flush, name="flush access log")
        self._tasks.keep(self._watch.run, name="watch the upstream")
        if self._keys is not None:
            self._tasks.keep(self._keys.keep_fresh, name="keep keys fresh")
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._push is not None:
            await self._push.aclose()
        await self._watcher.aclose()
        await self._results.aclose()
        await self._create.aclose(self._config.upstream.response_seconds)
        self._thread.close()
        await self._tasks.aclose()
        if self._shared is not None:
            await self._shared.aclose()
        self._upstream.close()
        if self._access_log is not None:
            self._access_log.close()

    def drain(self) -> None:
        """Be no longer ready, hand back every held request, keep no connection for another."""
        self._pipeline.drain()
        self._watcher.drain()

    @property
    def begun(self) -> int:
        """Requests so far."""
        return self._pipeline.begun

    @property
    def is_idle(self) -> bool:
        """No request is being answered, and no answer is still to be sent."""
        return self._pipeline.is_idle and not self.listener.is_sending

    def cut(self) -> None:
        """Give up what is still being answered; no client can take it for complete."""
        self._pipeline.cut()

    @property
    def renewals(self) -> dict[str, Callable[[], None]]:
        """What reads a file again, by the setting that names it; each may raise UnusableKey, and
        has changed nothing then."""
        files = [keys] if isinstance(keys := self._keys, FileKey) else []
        return {**self._results.renewals, **{keys.setting: keys.renew for keys in files}}

    def _limit_stats(self) -> parts.LimitStats:
        verdicts = {} if self._limits is None else self._limits.stats()
        if self._connections is not None and self._connections.surplus:
            verdict = "refused" if self._config.limits.mode == "enforce" else "reported"
            verdicts[CONNECTIONS, verdict] = self._connections.surplus
        if over_share := self._upstream.stats().pool.refused:
            verdicts[SHARE, "refused"] = over_share
        if self._buffers.refused:
            verdicts[BUFFERED_BYTES, "refused"] = self._buffers.refused
        redis = None if self._shared is None else self._shared.stats()
        return parts.LimitStats(verdicts, redis, self._buffers.total, self.places.refused)


def _limits(
    config: Config,
    memory: MemoryBudgets,
    shared: RedisBudgets | None,
    identities: Identities,
    clock: Callable[[], float],
) -> Limits | None:
    limits = config.limits
    if limits.mode == "off":
        return None
    return Limits(
        rules=Rules(limits),
        memory=memory,
        shared=shared,
        holds=Holds(limits.holds, clock),
        is_accepted=identities.is_accepted,
        trials=identities.trials,
        anonymous=identities.anonymous,
        is_enforced=limits.mode == "enforce",
        with_fields=limits.headers,
    )


def _shared_budgets(
    config: Config, memory: MemoryBudgets, clock: Callable[[], float]
) -> RedisBudgets | None:
    if not config.redis.url or config.limits.mode == "off":
        return None
    from gateway.admission.limits.redis_budgets import RedisBudgets  # noqa: PLC0415 - an extra

    return RedisBudgets(config.redis, memory, clock, random.random)


async def _flush(access_log: AccessLog, gap_seconds: float) -> NoReturn:
    while True:
        await asyncio.sleep(gap_seconds)
        access_log.flush()
