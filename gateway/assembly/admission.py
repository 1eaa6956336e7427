"""The parts that decide who may do what: identities, budgets, connections, buffers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from gateway.admission.connections import Connections
from gateway.admission.identity.identities import Identities
from gateway.admission.identity.keys import OneKey, is_of_file, keys_of
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

    from gateway.admission.identity.claims import Key
    from gateway.admission.limits.redis_budgets import RedisBudgets
    from gateway.admission.shared.budgets import SharedBudgets
    from gateway.config import Config, LimitsConfig
    from gateway.config.timing import Timing
    from gateway.downstream.listening.places import Places


class AdmissionParts:
    """``keys`` are None where tokens are not verified. The clocks give seconds: monotonic ones, and
    those since 1970. ``budgets`` are those of several processes, None for a process's own."""

    def __init__(
        self,
        config: Config,
        timing: Timing,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        is_trusted: Callable[[str], bool],
        *,
        budgets: SharedBudgets | None = None,
    ) -> None:
        limits = config.limits
        self._mode = limits.mode
        self._surplus: dict[str, int] = {}
        """Connections that were too many, by what became of them while another mode was set."""
        self.keys = keys_of(config.identity, clock, timing.key_gap_seconds)
        self.identities = Identities(
            config.identity, self.keys, clock, wall_clock, timing.trial_seconds
        )
        self._memory = memory = budgets or MemoryBudgets()
        self._shared = _shared_budgets(config, memory, clock)
        self.limits = _limits(config, memory, self._shared, self.identities, clock)
        self.connections = Connections(_per_address(limits), is_trusted)
        self.buffers = Buffers(limits.buffered_bytes, limits.result_bytes)
        self.checks = Checks(limits.fields_bytes, self.identities, self.limits, clock)
        self.reconfigure(config)

    def reconfigure(self, config: Config, key: Key | None = None) -> None:
        """Decide by other settings. What was used of budgets, and the places that are taken, count
        on; what was decided stays so. ``key`` is what tokens are verified with, if it may be
        another one."""
        limits = config.limits
        if isinstance(keys := self.keys, OneKey) and key is not None:
            keys.hold(key, is_of_file=is_of_file(config.identity))
        self.identities.reconfigure(config.identity)
        self.limits.reconfigure(
            Rules(limits),
            most_holds=limits.holds,
            is_enforced=limits.mode == "enforce",
            with_fields=limits.headers,
        )
        self._surplus = self._surpluses()
        self._mode = limits.mode
        self.connections.reconfigure(_per_address(limits))
        self.buffers.reconfigure(limits.buffered_bytes, limits.result_bytes)
        self.checks.reconfigure(limits.fields_bytes, is_limiting=limits.mode != "off")

    async def aclose(self) -> None:
        if self._shared is not None:
            await self._shared.aclose()

    def metrics(self, places: Places, *, over_share: int) -> Iterator[Metric]:
        """``over_share`` requests were refused for their client's share of the connections
        upstream."""
        yield from parts.of_limits(self._limit_stats(over_share))
        over_address = self._surpluses().get("refused", 0)
        refused = {DESCRIPTORS: places.refused, CONNECTIONS: over_address}
        yield from parts.of_connections(places.taken, refused)
        ages = {} if self.keys is None else self.keys.age_seconds()
        yield from parts.of_identities(IdentityStats(self.identities.remembered(), ages))

    def _limit_stats(self, over_share: int) -> LimitStats:
        verdicts = {} if self._mode == "off" else self.limits.stats()
        for verdict, surplus in self._surpluses().items():
            verdicts[CONNECTIONS, verdict] = surplus
        if over_share:
            verdicts[SHARE, "refused"] = over_share
        if self.buffers.refused:
            verdicts[BUFFERED_BYTES, "refused"] = self.buffers.refused
        redis = None if self._shared is None else self._shared.stats()
        return LimitStats(verdicts, redis, self.buffers.total, self._memory.kept())

    def _surpluses(self) -> dict[str, int]:
        """How many connections of an address were too many so far, by what became of them."""
        verdict = "refused" if self._mode == "enforce" else "reported"
        others = sum(count for name, count in self._surplus.items() if name != verdict)
        found = {**self._surplus, verdict: self.connections.surplus - others}
        return {name: count for name, count in found.items() if count}


def _limits(
    config: Config,
    memory: MemoryBudgets | SharedBudgets,
    shared: RedisBudgets | None,
    identities: Identities,
    clock: Callable[[], float],
) -> Limits:
    limits = config.limits
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


def _per_address(limits: LimitsConfig) -> int:
    return 0 if limits.mode == "off" else limits.connections_per_address


def _shared_budgets(
    config: Config, memory: MemoryBudgets | SharedBudgets, clock: Callable[[], float]
) -> RedisBudgets | None:
    if not config.redis.url:
        return None
    from gateway.admission.limits.redis_budgets import RedisBudgets  # noqa: PLC0415 - an extra

    return RedisBudgets(config.redis, memory, clock, random.random)
