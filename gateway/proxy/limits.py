"""The stage that says how much a client may do: rates, results held at once, sizes of content.

Nothing has gone upstream yet when it refuses. Where only a report is wanted it counts the same,
notes the limit in the request's record, and lets it through.

A request that follows a redirect of ours (``counter`` above 0) takes nothing of its budget if it
was held for a second or longer. Whether it will be is known only afterwards, so it is let in if
there is something left, and owes its share if it was answered sooner: writing ``counter=1`` buys
nothing but a short debt, of as many requests as one may hold at once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.admission.limits.gcra import SECOND
from gateway.admission.limits.holds import Place
from gateway.admission.limits.memory_budgets import Budget, Claim, Use
from gateway.downstream.exchange import Outcome
from gateway.errors import ContentTooLarge, Overloaded, TooManyRequests
from gateway.protocols.theeye.routes import RouteKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.identity.identities import Identity
    from gateway.admission.identity.trials import Trials
    from gateway.admission.limits.gcra import Rate
    from gateway.admission.limits.holds import Holds
    from gateway.admission.limits.memory_budgets import MemoryBudgets, Verdict
    from gateway.admission.limits.redis_budgets import RedisBudgets
    from gateway.admission.limits.rules import Rules
    from gateway.downstream.exchange import Exchange
    from gateway.errors import Field, GatewayError
    from gateway.protocols.http.query import Query

FREE_HOLD_SECONDS = 1.0
MAX_COUNTER_DIGITS = 9
UNKNOWN_TOKEN = "unknown_token"  # noqa: S105 - a limit's name
_RETRY_SOON: Field = (b"Retry-After", b"1")


class Limits:
    """``is_accepted``: whether the upstream is known to take the token of a client; ``trials``:
    which of the others are being asked about; ``anonymous``: who asks from an address without
    one."""

    def __init__(
        self,
        *,
        rules: Rules,
        memory: MemoryBudgets,
        shared: RedisBudgets | None,
        holds: Holds,
        is_accepted: Callable[[Identity], bool],
        trials: Trials,
        anonymous: Callable[[str], Identity],
        is_enforced: bool,
        with_fields: bool,
    ) -> None:
        self._rules = rules
        self._memory = memory
        self._shared = shared
        self._holds = holds
        self._is_accepted = is_accepted
        self._trials = trials
        self._anonymous = anonymous
        self._is_enforced = is_enforced
        self._with_fields = with_fields
        self._admitted = dict.fromkeys(RouteKind, 0)
        self._verdicts: dict[tuple[str, str], int] = {}

    def admit(self, exchange: Exchange, query: Query, *, may_wait: bool = True) -> None:
        """Let a request in; where budgets are shared ``exchange.claim`` is still to be decided.

        Where there is an ``exchange.awaited_trial`` nothing was done: once that has ended it is to
        be called again.

        Raises:
            TooManyRequests: the client has none left.
            ContentTooLarge: its content is known to be too large.
        """
        kind, identity = exchange.limited, exchange.identity
        assert kind is not None
        policy = self._rules.policy(identity)
        allowance = policy.allowances[kind]
        if exchange.client.has_content:
            exchange.content_bytes = allowance.content_bytes
        has_token = identity.token_hash is not None
        is_known = has_token and self._is_accepted(identity)
        own = Budget(kind, identity.key + policy.suffix, allowance.rate, is_known)
        budgets: tuple[Budget, ...] = (own,)
        use = Use.TAKE
        if identity.token_hash is not None and not is_known:
            if self._must_wait(exchange, identity.token_hash, may_wait=may_wait):
                return
            if exchange.trial is not None or self._is_enforced:
                budgets = (own, self._of_address(exchange.address))
        elif kind is RouteKind.RESULT and is_hop(query):
            use = Use.LOOK
            exchange.owed = budgets
        now = int(exchange.started * SECOND)
        if self._shared is None:
            self._conclude(exchange, budgets, self._memory.use(budgets, use, now))
        else:
            exchange.claim = Claim(budgets, use, now)

    async def decide(self, exchange: Exchange, claim: Claim) -> None:
        """Ask for what a request claims of shared budgets; raises as ``admit``."""
        assert self._shared is not None
        verdict = await self._shared.use(claim.budgets, claim.use, claim.now)
        self._conclude(exchange, claim.budgets, verdict)

    def place(self, exchange: Exchange, job_id: str = "") -> Place:
        """A place for a request that may wait for a job: the one that is kept for it, or another.

        Without ``job_id`` the job is still to be created.

        Raises:
            TooManyRequests: its client has as many as it may.
            Overloaded: there is none left.
        """
        identity = exchange.identity
        policy = self._rules.policy(identity)
        key = identity.key + policy.suffix
        if not (job_id and self._holds.resume(key, job_id)):
            self._check_holds(exchange, key, policy.holds)
            self._holds.enter(key)
        return Place(partial(self._left, key), job_id)

    def settle(self, exchange: Exchange) -> None:
        """What can be said of an admitted request only when it is over."""
        if exchange.trial is not None:
            exchange.trial.end()
        was_held = exchange.held_seconds >= FREE_HOLD_SECONDS
        if exchange.owed and not was_held and exchange.outcome is not Outcome.DRAINED:
            self._owe(exchange.owed, int(exchange.finished * SECOND))
        most = exchange.content_bytes
        if most is not None and exchange.client.bytes_received > most:
            self._note(exchange, f"{exchange.limited}.content_bytes")

    def stats(self) -> dict[tuple[str, str], int]:
        """How many requests passed, were refused or only reported, by (limit, verdict) so far."""
        admitted = {(kind.value, "admitted"): count for kind, count in self._admitted.items()}
        return {**admitted, **self._verdicts}

    def _must_wait(self, exchange: Exchange, token_hash: bytes, *, may_wait: bool) -> bool:
        """Whether the first request with a token that nobody knows is another one; else it may be
        this one."""
        trial = self._trials.of(token_hash)
        if trial is None:
            exchange.trial = self._trials.begin(token_hash) if may_wait else None
        elif may_wait and self._is_enforced and trial.may_be_awaited:
            exchange.awaited_trial = trial
        return exchange.awaited_trial is not None

    def _check_holds(self, exchange: Exchange, key: bytes, most: int) -> None:
        if self._holds.of(key) >= most:
            message = f"Only {most} results may be waited for at once"
            self._refuse(
                exchange, "holds_per_token", TooManyRequests(message, fields=(_RETRY_SOON,))
            )
        elif self._holds.are_full:
            message = "Too many results are being waited for"
            self._refuse(exchange, "holds", Overloaded(message, fields=(_RETRY_SOON,)))

    def _left(self, key: bytes, job_id: str) -> None:
        if job_id:
            self._holds.keep(key, job_id)
        else:
            self._holds.leave(key)

    def _of_address(self, address: str) -> Budget:
        """What tokens that nobody knows yet take besides their own: anybody can make up more."""
        rate = self._rules.anonymous.allowances[RouteKind.OTHER].rate
        return Budget(RouteKind.OTHER, self._anonymous(address).key, rate, is_known=False)

    def _conclude(self, exchange: Exchange, budgets: tuple[Budget, ...], verdict: Verdict) -> None:
        refused, level = verdict.refused, verdict.level
        budget = refused or budgets[0]
        if self._with_fields:
            exchange.client.added = rate_fields(budget, level)
        if refused is None:
            self._admitted[budget.kind] += 1
        else:
            exchange.owed = ()
            if exchange.trial is not None:
                exchange.trial.end(was_admitted=not self._is_enforced)
            name = budget.kind.value if budget is budgets[0] else UNKNOWN_TOKEN
            seconds = b"%d" % budget.rate.wait_seconds(level)
            message = _message(name, budget.rate)
            failure = TooManyRequests(message, fields=((b"Retry-After", seconds),))
            self._refuse(exchange, name, failure)
        if exchange.content_bytes is not None:
            self._bound_content(exchange, exchange.content_bytes)

    def _bound_content(self, exchange: Exchange, most: int) -> None:
        client = exchange.client
        if (client.content_length or 0) > most:
            exchange.content_bytes = None
            name = f"{exchange.limited}.content_bytes"
            self._refuse(exchange, name, ContentTooLarge.than(most))
        elif self._is_enforced:
            client.content_bytes = most

    def _owe(self, budgets: tuple[Budget, ...], now: int) -> None:
        if self._shared is not None:
            self._shared.owe(budgets, now)
        else:
            self._memory.use(budgets, Use.OWE, now)

    def _refuse(self, exchange: Exchange, name: str, failure: GatewayError) -> None:
        self._note(exchange, name)
        if self._is_enforced:
            raise failure

    def _note(self, exchange: Exchange, name: str) -> None:
        exchange.limit = name
        key = (name, "refused" if self._is_enforced else "reported")
        self._verdicts[key] = self._verdicts.get(key, 0) + 1


def is_hop(query: Query) -> bool:
    """Whether a result request says that it follows a redirect: its ``counter`` is above 0."""
    given = query.values("counter")
    text = given[0][:MAX_COUNTER_DIGITS] if len(given) == 1 else ""
    return text.isascii() and text.isdigit() and int(text) > 0


def rate_fields(budget: Budget, level: int) -> tuple[Field, ...]:
    """``RateLimit-Policy`` and ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers-11): what passes
    in a window that brings back a spent burst, how many requests are left, and in how many seconds
    (``t``) one more will be; 0 where none was used."""
    name, rate = budget.kind.value.encode("ascii"), budget.rate
    window = max(1, rate.full_seconds(rate.capacity))
    quota = max(1, int(rate.per_second * window))
    left = rate.remaining(level)
    return (
        (b"RateLimit-Policy", b'"%b";q=%d;w=%d' % (name, quota, window)),
        (b"RateLimit", b'"%b";r=%d;t=%d' % (name, left, rate.more_seconds(level))),
    )


def _message(name: str, rate: Rate) -> str:
    allowed = f"{rate.per_second:g} a second and {rate.burst} at once are allowed"
    if name == UNKNOWN_TOKEN:
        return f"Too many requests with unknown tokens from one address: {allowed}"
    return f'Too many requests of the kind "{name}": {allowed}'
