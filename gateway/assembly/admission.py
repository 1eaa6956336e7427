"""The parts that decide who may do what: identities, budgets, connections, buffers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from gateway.admission.connections import Connections
from gateway.admission.identity.identities import Identities
from gateway.admission.identity.keys import FileKey, keys_of
from gateway.admission.limits.buffers import BUFFERED_BYTES, Buffers
from gateway.admission.limits.holds import Holds
from gateway.admission.limits.memory_budgets import MemoryBudgets
from gateway.admission.limits.rules import Rules
from gateway.downstream.listening.seat import CONNECTIONS, DESCRIPTORS
from gateway.ops.metrics import parts
from gateway.ops.metrics.parts import IdentityStats, LimitStats
from gateway.proxy.checks import Checks
from gateway.proxy.limits import Limits
from gateway.proxy.refusals import SHARE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from gateway.admission.limits.redis_budgets import RedisBudgets
    from gateway.config import Config
    from gateway.config.timing import Timing
    from gateway.downstream.listening.places import Places


class AdmissionParts:
    """``limits``, ``connections`` and ``keys`` are None where the settings want none. The clocks
    give seconds: monotonic ones, and those since 1970."""

    def __init__(
        self,
        config: Config,
        timing: Timing,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        is_trusted: Callable[[str], bool],
    ) -> None:
        limits = config.limits
        self._refused = "refused" if limits.mode == "enforce" else "reported"
        self.keys = keys_of(config.identity, clock, timing.key_gap_seconds)
        self.identities = Identities(
            config.identity, self.keys, clock, wall_clock, timing.trial_seconds
        )
        self._memory = memory = MemoryBudgets()
        self._shared = _shared_budgets(config, memory, clock)
        self.limits = _limits(config, memory, self._shared, self.identities, clock)
        self.connections = (
            None if self.limits is None else Connections(limits.connections_per_address, is_trusted)
        )
        self.buffers = Buffers(limits.buffered_bytes, limits.result_bytes)
        self.checks = Checks(limits.fields_bytes, self.identities, self.limits, clock)

    async def aclose(self) -> None:
        if self._shared is not None:
            await self._shared.aclose()

    @property
    def renewals(self) -> dict[str, Callable[[], None]]:
        """See ``Gateway.renewals``."""
        return {keys.setting: keys.renew} if isinstance(keys := self.keys, FileKey) else {}

    def metrics(self, places: Places, *, over_share: int) -> Iterator[Metric]:
        """``over_share`` requests were refused for their client's share of the connections
        upstream."""
        yield from parts.of_limits(self._limit_stats(over_share))
        surplus = 0 if self.connections is None else self.connections.surplus
        over_address = surplus if self._refused == "refused" else 0
        refused = {DESCRIPTORS: places.refused, CONNECTIONS: over_address}
        yield from parts.of_connections(places.taken, refused)
        ages = {} if self.keys is None else self.keys.age_seconds()
        yield from parts.of_identities(IdentityStats(self.identities.remembered(), ages))

    def _limit_stats(self, over_share: int) -> LimitStats:
        verdicts = {} if self.limits is None else self.limits.stats()
        if self.connections is not None and self.connections.surplus:
            verdicts[CONNECTIONS, self._refused] = self.connections.surplus
        if over_share:
            verdicts[SHARE, "refused"] = over_share
        if self.buffers.refused:
            verdicts[BUFFERED_BYTES, "refused"] = self.buffers.refused
        redis = None if self._shared is None else self._shared.stats()
        return LimitStats(verdicts, redis, self.buffers.total, self._memory.kept())


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
