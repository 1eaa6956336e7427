"""The decision on budgets as a script of Redis: what it is called with, what it returns. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.admission.limits.gcra import Rate
from gateway.admission.limits.memory_budgets import Budget, Use, Verdict
from gateway.protocols.theeye.routes import RouteKind

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "theeye-sync-gateway:budget:"
TRIAL_KEY = PREFIX + "trial"
"""Of a budget that nobody has; a decision on it proves that those on others can be had."""

# gcra.Rate and budgets.MemoryBudgets in Lua. ARGV: the time, else empty; checked; charged; then
# interval, capacity, most and the level known to the asker for each key. A key lives until its
# budget is full, and a minute more, as the server's clock may be set.
SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or (time[1] * 1000000 + time[2])
local checked, charged = ARGV[2] == '1', ARGV[3] == '1'
local levels = {}
for i, key in ipairs(KEYS) do
  local interval, capacity = tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1])
  local most, known = tonumber(ARGV[4 * i + 2]), tonumber(ARGV[4 * i + 3])
  local value = redis.pcall('GET', key)
  if type(value) == 'table' then
    if string.sub(value.err, 1, 9) ~= 'WRONGTYPE' then
      return value
    end
    -- A key of another type is as one that is not there; it is replaced.
    value = false
  end
  local full_at = tonumber(value) or 0
  if full_at > now + most then
    -- The clock was set back.
    redis.call('SET', key, string.format('%.0f', now + most), 'PX', math.ceil(most / 1000) + 60000)
  end
  levels[i] = math.min(math.max(full_at - now, known), most)
  if checked and levels[i] + interval > capacity then
    return {i, levels[i]}
  end
end
if charged then
  for i, key in ipairs(KEYS) do
    levels[i] = math.min(levels[i] + tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 2]))
    local life = math.ceil(levels[i] / 1000) + 60000
    redis.call('SET', key, string.format('%.0f', now + levels[i]), 'PX', life)
  end
end
return {0, levels[1]}
"""
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One call of the script."""

    budgets: Sequence[Budget]
    keys: tuple[str, ...]
    arguments: tuple[int | str, ...]

    @property
    def by_hash(self) -> tuple[int | str, ...]:
        """The command for a server that knows the script."""
        return ("EVALSHA", SHA, len(self.keys), *self.keys, *self.arguments)

    @property
    def by_text(self) -> tuple[int | str, ...]:
        """The command for any server; it knows the script from then on.

        Not SCRIPT LOAD: proxies have only this, and a user may do it who may not manage scripts.
        """
        return ("EVAL", SCRIPT, len(self.keys), *self.keys, *self.arguments)

    def verdict(self, reply: object) -> Verdict:
        """Read the server's reply.

        Raises:
            ValueError: it is not what the script returns.
        """
        match reply:
            case [int(at), int(level)] if 0 <= at <= len(self.budgets) and level >= 0:
                return Verdict(self.budgets[at - 1] if at else None, level)
        raise ValueError("no verdict")


def call(budgets: Sequence[Budget], use: Use, known: Sequence[int]) -> ScriptCall:
    """See ``arguments``."""
    keys = tuple(map(key_of, budgets))
    return ScriptCall(budgets, keys, tuple(arguments(budgets, use, known)))


def trial() -> ScriptCall:
    """A decision that is always written, as every charge is: it fails where those would."""
    budgets = (Budget(RouteKind.OTHER, b"", Rate(1.0, 1), is_known=False),)
    return ScriptCall(budgets, (TRIAL_KEY,), tuple(arguments(budgets, Use.OWE, [0])))


def key_of(budget: Budget) -> str:
    """The key of a budget in Redis."""
    return f"{PREFIX}{budget.kind.value}:{budget.key.hex()}"


def arguments(
    budgets: Sequence[Budget], use: Use, known: Sequence[int], now: int | None = None
) -> list[int | str]:
    """The arguments of the script; ``known`` are the budgets' levels as this process knows them,
    ``now`` a time to take instead of the server's."""
    given: list[int | str] = ["" if now is None else now, int(use.is_checked), int(use.is_charged)]
    for budget, level in zip(budgets, known, strict=True):
        rate = budget.rate
        given += [rate.interval, rate.capacity, rate.most, level]
    return given
