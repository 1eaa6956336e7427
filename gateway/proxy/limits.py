"""Limits how much a client may do: rates, results held at once, sizes of content.

Decides by a request's ``Admission`` and writes nowhere else. Nothing has gone upstream yet when it
refuses. Where only a report is wanted it counts the same, notes the limit, and lets it through.

A request that follows a redirect of ours (``counter`` above 0) takes nothing of its budget if it
was held for a second or longer. Whether it will be is known only afterwards, so it is let in if
there is something left, and owes its share if it was answered sooner: writing ``counter=1`` buys
nothing but a short debt, of as many requests as one may hold at once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.admission.limits.gcra import SECOND
from gateway.admission.limits.holds import Place
from gateway.admission.limits.memory_budgets import Budget, Claim, Use
from gateway.errors import ContentTooLarge, Overloaded, TooManyRequests
from gateway.protocols.theeye.routes import RouteKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.identity.identities import Identity
    from gateway.admission.identity.trials import Trials
    from gateway.admission.limits.admission import Admission
    from gateway.admission.limits.gcra import Rate
    from gateway.admission.limits.holds import Holds
    from gateway.admission.limits.memory_budgets import MemoryBudgets, Verdict
    from gateway.admission.limits.redis_budgets import RedisBudgets
    from gateway.admission.limits.rules import Rules
    from gateway.admission.shared.budgets import SharedBudgets
    from gateway.errors import Field, GatewayError
    from gateway.protocols.http.query import Query

FREE_HOLD_SECONDS: Final = 1.0
MAX_COUNTER_DIGITS = 9
UNKNOWN_TOKEN = "unknown_token"  # noqa: S105 - a limit's name
_RESULT: Final = RouteKind.RESULT
_TAKE: Final = Use.TAKE
_RETRY_SOON: Field = (b"Retry-After", b"1")


class Limits:
    """Keeps budgets and places in ``memory`` and ``holds``, the budgets in ``shared`` too if given:
    workers share the former, gateways the latter.

    ``is_accepted``: whether the upstream is known to take the token of a client; ``trials``:
    which of the others are being asked about; ``anonymous``: who asks from an address without
    one.
    """

    def __init__(
        self,
        *,
        rules: Rules,
        memory: MemoryBudgets | SharedBudgets,
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
        self.is_enforced = is_enforced
        """Else what is over a limit is only noted."""
        self._with_fields = with_fields
        self._admitted = dict.fromkeys(RouteKind, 0)
        self._verdicts: dict[tuple[str, str], int] = {}

    def reconfigure(
        self, rules: Rules, *, most_holds: int, is_enforced: bool, with_fields: bool
    ) -> None:
        """Decide by other rules; what was used, and the places that are taken, count on."""
        self._rules = rules
        self._holds.reconfigure(most_holds)
        self.is_enforced = is_enforced
        self._with_fields = with_fields

    def admit(self, admission: Admission, identity: Identity, *, may_wait: bool = True) -> None:
        """Decide whether a request of ``identity`` may pass, unless something is to be awaited.

        Where budgets are shared, ``decide`` is to follow. Where there is an ``awaited_trial``,
        nothing was decided: once that has ended it is to be called again, and ``may_wait`` says
        whether for another.
        """
        kind = admission.kind
        admission.awaited_trial = None
        policy = self._rules.policy(identity)
        allowance = policy.allowances[kind]
        if admission.has_content:
            admission.content_bytes = allowance.content_bytes
        has_token = identity.token_hash is not None
        is_known = has_token and self._is_accepted(identity)
        own = Budget(kind, policy.key(identity), allowance.rate, is_known)
        budgets: tuple[Budget, ...] = (own,)
        use = _TAKE
        if identity.token_hash is not None and not is_known:
            if self._must_wait(admission, identity.token_hash, may_wait=may_wait):
                return
            if admission.trial is not None or self.is_enforced:
                budgets = (own, self._of_address(admission.address))
        elif kind is _RESULT and is_hop(admission.query):
            use = Use.LOOK
            admission.owed = budgets
        now = int(admission.started * SECOND)
        if self._shared is None:
            self._conclude(admission, budgets, self._memory.use(budgets, use, now))
        else:
            admission.claim = Claim(budgets, use, now)

    async def decide(self, admission: Admission, claim: Claim) -> None:
        """Ask Redis for what a request claims of shared budgets, and decide by that."""
        assert self._shared is not None
        verdict = await self._shared.use(claim.budgets, claim.use, claim.now)
        self._conclude(admission, claim.budgets, verdict)

    def place(self, admission: Admission, identity: Identity, job_id: str = "") -> Place:
        """Give a place to a request that may wait for a job: the one that is kept for it, or
        another. Without ``job_id`` the job is still to be created.

        Raises:
            TooManyRequests: its client has as many as it may.
            Overloaded: there is none left.
        """
        policy = self._rules.policy(identity)
        key = self._holds.resume(identity.key, job_id) if job_id else None
        if key is None:
            key = policy.key(identity)
            self._check_holds(admission, key, policy.holds)
            if admission.refusal is not None:
                raise admission.refusal
            self._holds.enter(key)
        return Place(partial(self._left, key, identity.key), job_id)

    def settle(
        self,
        admission: Admission,
        finished: float,
        *,
        held_seconds: float,
        was_drained: bool,
        bytes_received: int,
    ) -> str:
        """Charge what can be charged only at a request's end, and note content that was too long.

        ``was_drained``: it was handed back for the sake of this process, not of its client.

        Returns:
            The limit that was reached only now, empty if none was.
        """
        if admission.trial is not None:
            admission.trial.end()
        if admission.owed and held_seconds < FREE_HOLD_SECONDS and not was_drained:
            self._owe(admission.owed, int(finished * SECOND))
        most = admission.content_bytes
        if most is None or bytes_received <= most:
            return ""
        self._note(admission, f"{admission.kind}.content_bytes")
        return admission.limit

    def stats(self) -> dict[tuple[str, str], int]:
        """Count the requests admitted, refused or only reported so far, by (limit, verdict)."""
        admitted = {(kind.value, "admitted"): count for kind, count in self._admitted.items()}
        return {**admitted, **self._verdicts}

    def _must_wait(self, admission: Admission, token_hash: bytes, *, may_wait: bool) -> bool:
        """Tell whether another request is the first with a token that nobody knows; else this one
        may be."""
        trial = self._trials.of(token_hash)
        if trial is None:
            admission.trial = self._trials.begin(token_hash) if may_wait else None
        elif may_wait and self.is_enforced and trial.may_be_awaited:
            admission.awaited_trial = trial
        return admission.awaited_trial is not None

    def _check_holds(self, admission: Admission, key: bytes, most: int) -> None:
        if self._holds.of(key) >= most:
            message = f"Only {most} results may be waited for at once"
            refusal = TooManyRequests(message, fields=(_RETRY_SOON,))
            self._refuse(admission, "holds_per_token", refusal)
        elif self._holds.are_full:
            message = "Too many results are being waited for"
            self._refuse(admission, "holds", Overloaded(message, fields=(_RETRY_SOON,)))

    def _left(self, key: bytes, client: bytes, job_id: str) -> None:
        if job_id:
            self._holds.keep(key, client, job_id)
        else:
            self._holds.leave(key)

    def _of_address(self, address: str) -> Budget:
        """The budget that unknown tokens take besides their own: anybody can make up more."""
        rate = self._rules.anonymous.allowances[RouteKind.OTHER].rate
        return Budget(RouteKind.OTHER, self._anonymous(address).key, rate, is_known=False)

    def _conclude(
        self, admission: Admission, budgets: tuple[Budget, ...], verdict: Verdict
    ) -> None:
        refused, level = verdict.refused, verdict.level
        budget = refused or budgets[0]
        if self._with_fields:
            admission.fields = rate_fields(budget, level)
        if refused is None:
            self._admitted[budget.kind] += 1
        else:
            admission.owed = ()
            if admission.trial is not None:
                admission.trial.end(was_admitted=not self.is_enforced)
            name = budget.kind.value if budget is budgets[0] else UNKNOWN_TOKEN
            seconds = b"%d" % budget.rate.wait_seconds(level)
            message = _message(name, budget.rate)
            refusal = TooManyRequests(message, fields=((b"Retry-After", seconds),))
            self._refuse(admission, name, refusal)
        most = admission.content_bytes
        if most is not None and admission.refusal is None:
            self._bound_content(admission, most)

    def _bound_content(self, admission: Admission, most: int) -> None:
        if (admission.content_length or 0) > most:
            admission.content_bytes = None
            name = f"{admission.kind}.content_bytes"
            self._refuse(admission, name, ContentTooLarge.than(most))

    def _owe(self, budgets: tuple[Budget, ...], now: int) -> None:
        if self._shared is not None:
            self._shared.owe(budgets, now)
        else:
            self._memory.use(budgets, Use.OWE, now)

    def _refuse(self, admission: Admission, name: str, refusal: GatewayError) -> None:
        self._note(admission, name)
        if self.is_enforced:
            admission.refusal = refusal

    def _note(self, admission: Admission, name: str) -> None:
        admission.limit = name
        key = (name, "refused" if self.is_enforced else "reported")
        self._verdicts[key] = self._verdicts.get(key, 0) + 1


def is_hop(query: Query) -> bool:
    """Tell whether a result request says that it follows a redirect: its ``counter`` is above 0."""
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
