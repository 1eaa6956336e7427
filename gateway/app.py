"""Joins all parts: the only module that knows each group of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from msgspec import structs

from gateway import descriptors
from gateway.assembly.admission import AdmissionParts
from gateway.assembly.ops import OpsParts
from gateway.assembly.sync import SyncParts
from gateway.assembly.traces import trace_parts
from gateway.config.timing import USUAL, Timing
from gateway.downstream.listener import ClientListener
from gateway.downstream.listening.places import Places
from gateway.ops.metrics import parts
from gateway.ops.metrics.reloads import Reloads
from gateway.proxy.cycle import cycles_on, traced_cycles_on
from gateway.proxy.forwarding import Forwarding
from gateway.proxy.pipeline import Observer, Pipeline
from gateway.proxy.relay import Relay
from gateway.proxy.websocket import WebSocketRelay
from gateway.sync.preflight import Preflights
from gateway.tasks import Tasks
from gateway.upstream import Upstream
from gateway.upstream.traced import TracedUpstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from gateway.admission.identity.claims import Key
    from gateway.admission.shared.budgets import SharedBudgets
    from gateway.config import Config


class Gateway:
    """All parts, joined; an ``async with`` block is its life. ``listener`` takes connections as far
    as there are ``places``, ``vitals`` and ``sights`` are for operators, ``observers`` told of
    ended requests; ``sources`` yield the metrics of what stands around it. Whoever has settings
    read again tells ``reloads``. ``budgets`` are those of several processes, if there are any."""

    def __init__(
        self,
        config: Config,
        observers: Sequence[Observer] = (),
        timing: Timing = USUAL,
        sources: Sequence[Callable[[], Iterable[Metric]]] = (),
        *,
        budgets: SharedBudgets | None = None,
    ) -> None:
        clock, wall_clock = time.monotonic, time.time  # noqa: TID251 - here clocks come from
        self._tasks = Tasks()
        self.reloads = Reloads(config)
        allotment = descriptors.allotted(descriptors.limit(), config)
        self.places = Places(allotment.clients)
        self._upstream = upstream = Upstream(
            structs.replace(config.upstream, max_connections=allotment.upstream), clock
        )
        forwarding = self._forwarding = Forwarding(
            config.listen.trusted_proxies,
            upstream.host,
            preserve_host=config.upstream.preserve_host,
        )
        self._admission = admission = AdmissionParts(
            config, timing, clock, wall_clock, forwarding.is_trusted, budgets=budgets
        )
        identities = admission.identities
        self._traces = traces = trace_parts(config, clock, wall_clock, forwarding.is_trusted)
        self._sync = sync = SyncParts(
            config,
            timing,
            clock,
            wall_clock,
            upstream=upstream if traces is None else TracedUpstream(upstream),
            waits=None if traces is None else traces.tracer.waits,
            forwarding=forwarding,
            identities=identities,
            checks=admission.checks,
            buffers=admission.buffers,
        )
        self._ops = ops = OpsParts(
            config,
            timing,
            clock,
            wall_clock,
            upstream=upstream,
            identities=identities,
            watcher=sync.watcher,
            is_draining=lambda: self._pipeline.is_draining,
            is_trusted=forwarding.is_trusted,
            sources=[
                *(self._metrics, sync.metrics, *sources),
                *(() if traces is None else (traces.metrics,)),
            ],
            observers=observers if traces is None else [*observers, traces.recorder],
        )
        relay = Relay(upstream, forwarding, identities)
        self._pipeline = Pipeline(
            forwarding=forwarding,
            checks=admission.checks,
            relay=relay,
            websocket=WebSocketRelay(
                upstream, forwarding, identities, config.upstream.tunnel_idle_seconds
            ),
            create=sync.create,
            hold=sync.hold,
            deletion=sync.deletion,
            preflights=Preflights(relay.forwarded),
            observers=ops.observers,
            clock=clock,
            secret_routes=config.sync.secret_routes,
        )
        self.listener = ClientListener(
            (
                cycles_on(self._pipeline)
                if traces is None
                else traced_cycles_on(self._pipeline, traces.tracer)
            ),
            config.listen,
            config.limits,
            admission.connections,
            self.places,
            spare_seconds=timing.spare_seconds,
        )
        self.vitals = ops.vitals
        self.sights = ops.sights

    async def __aenter__(self) -> Self:
        self._sync.start(self._tasks)
        self._ops.start(self._tasks)
        if (keys := self._admission.keys) is not None:
            self._tasks.keep(keys.keep_fresh, name="keep keys fresh")
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._sync.aclose()
        await self._tasks.aclose()
        await self._admission.aclose()
        self._upstream.close()
        self._ops.close()
        if self._traces is not None:
            await self._traces.aclose()

    def drain(self) -> None:
        """Be no longer ready, hand back every held request, keep no connection for another."""
        self._pipeline.drain()
        self._sync.drain()
        self.sights.drain()

    @property
    def begun(self) -> int:
        """Requests so far."""
        return self._pipeline.begun

    @property
    def is_idle(self) -> bool:
        """No request is being answered, and no response is still to be sent."""
        return self._pipeline.is_idle and not self.listener.is_sending

    def cut(self) -> None:
        """Give up what is still being answered; no client can take it for complete."""
        self._pipeline.cut()

    def reconfigure(
        self, config: Config, *, key: Key | None = None, seal_keys: Sequence[bytes] = ()
    ) -> None:
        """Go on by other settings, all at once; what is under way keeps what was decided on it.

        Those that need a restart (``gateway/config/changes.py``) must be as they were. ``key`` is
        what tokens are verified with, ``seal_keys`` what results in Redis are sealed with, as they
        stand in their files now.
        """
        self.reloads.take(config)
        self._forwarding.reconfigure(config.listen.trusted_proxies)
        self._admission.reconfigure(config, key)
        self._sync.reconfigure(config, seal_keys)
        self._ops.reconfigure(config)
        self._pipeline.reconfigure(self._ops.observers, secret_routes=config.sync.secret_routes)
        self.listener.reconfigure(config.listen, config.limits)

    def _metrics(self) -> Iterator[Metric]:
        upstream = self._upstream.stats()
        yield from parts.of_upstream(upstream)
        yield from self._admission.metrics(self.places, over_share=upstream.pool.refused)
        yield from parts.of_settings(self.reloads)
