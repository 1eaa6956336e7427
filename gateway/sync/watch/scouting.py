"""The requests of a scout: looks at a range, lists by id, and comparisons of tokens.

What they say of a job is passed on as a hint that it ended, and nothing else. Each waiter then
reads with its own token.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from gateway.sync.jobs.listing import Unlisted, capacity
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.jobs.ranges import Unranged
from gateway.sync.looks.cover import Cover
from gateway.sync.looks.rivals import Comparison
from gateway.sync.watch.poll_requests import Poll, Polled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.ranges import IdRange
    from gateway.sync.watch.ground import Ground
    from gateway.sync.watch.grounds import Grounds
    from gateway.sync.watch.poll_requests import PollRequests
    from gateway.sync.watch.state import PollState

T = TypeVar("T")

_REASONS = {
    Unlisted.DENIED: Unranged.DENIED,
    Unlisted.REFUSED: Unranged.REFUSED,
    Unlisted.FAILING: Unranged.FAILING,
}
_LENT_SECONDS = 2.0
"""Time until a poll that only shows a waiter its job: looks that many wait for go first."""


class RangeLook(NamedTuple):
    """A look to be made."""

    access: JobAccess
    ids: IdRange


Request = list[Poll] | RangeLook | Comparison


class Telling(Protocol):
    """Passes on what was said of a job."""

    def __call__(self, poll: Poll, outcome: PollOutcome, began: float) -> None:
        raise NotImplementedError


class Scouting:
    """``tell`` is told of ends. ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        requests: PollRequests,
        grounds: Grounds,
        clock: Callable[[], float],
        tell: Telling,
    ) -> None:
        self._requests = requests
        self._grounds = grounds
        self._clock = clock
        self._tell = tell
        self._is_known = False
        """The upstream has answered a look at a range."""

    def next(self, ground: Ground, now: float) -> Request | None:
        """The request that is due; None where it turns out that none is."""
        self._show(ground.freshen(now), now)
        if not ground.is_listing:
            comparison = ground.scouts.review(now)
            self._grounds.settle(ground)
            if comparison is not None:
                ground.is_listing = True
                return comparison
        access = ground.scout()
        if access is None:
            return None
        ids, look_at, list_at = ground.scouts.bounds(), ground.look_at(), ground.list_at()
        if ids is not None and look_at <= min(now, list_at):
            ground.is_looking, ground.is_urgent = True, False
            return RangeLook(access, ids)
        if list_at <= now:
            states = ground.to_list(now, capacity(access))
            unproven = ground.unproven(states, now)
            self._show(unproven, now)
            states = [state for state in states if state not in unproven]
            ground.is_listing = bool(states)
            return [Poll(state, _to(access, state.watch.job_id)) for state in states]
        return None

    def _show(self, states: Iterable[PollState], now: float) -> None:
        """Have waiters shown their jobs with their own tokens."""
        for state in states:
            self._grounds.lend(state, now + _LENT_SECONDS)

    def over(self, ground: Ground, request: Request) -> None:
        """The request has come to its end, whatever that was."""
        if isinstance(request, RangeLook):
            ground.is_looking = False
        else:
            ground.is_listing = False
        self._grounds.settle(ground)
        if ground.members:
            self._grounds.retime(ground)

    async def ask(self, ground: Ground, request: RangeLook | Comparison) -> None:
        """Send the request, and act on what it says."""
        if isinstance(request, RangeLook):
            await self._look(ground, request)
        else:
            await self._compare(ground, request)

    async def _look(self, ground: Ground, look: RangeLook) -> None:
        """Look at a range, and tell of the jobs that have ended."""
        key = look.access.batch_key
        said = await self._waited_for(ground, key, lambda: self._requests.look(*look))
        if said is None:
            return
        (ended, began), now = said, self._clock()
        if isinstance(ended, Unranged):
            if ended is not Unranged.UNKNOWN:
                self._failed(ground, key, ended)
            elif self._is_known:
                self._failed(ground, key, Unranged.FAILING)
            else:
                self._grounds.give_up(now)
            return
        self._is_known = True
        states = [state for one in ended if (state := ground.members.get(one)) is not None]
        strangers = [one for one in ended if one not in ground.members]
        self._requests.strangers += len(strangers)
        for state in states:
            ground.catch_up(state)
            self._tell(Poll(state, look.access), PollOutcome.CHANGED, began)
        if ground.scouts.scout == key:
            ground.looked(look.ids, began, now)
            ground.scouts.looked(look.ids, strangers, now - began, now)

    async def list(self, ground: Ground, polls: list[Poll]) -> AsyncGenerator[Polled, None]:
        """Poll jobs in a list by id, with the scout's token; those that it does not have are to be
        polled with their own waiters' tokens."""
        accesses, key = [access for _, access in polls], polls[0].access.batch_key
        only_ended = self._only_ended(ground, polls)
        answer = await self._waited_for(
            ground, key, lambda: self._requests.list_jobs(accesses, only_ended=only_ended)
        )
        if answer is None:
            for poll in polls:
                yield Polled(poll, None, self._clock())
            return
        (listing, began), now = answer, self._clock()
        if isinstance(listing, Unlisted) and listing is not Unlisted.TOO_MUCH:
            self._failed(ground, key, _REASONS[listing], is_list=True)
            said = PollOutcome.FAILING if listing is Unlisted.FAILING else None
            for poll in polls:
                yield Polled(poll, said, began)
            return
        found = {} if isinstance(listing, Unlisted) else dict(listing)
        if only_ended and listing is not Unlisted.TOO_MUCH:
            found = dict.fromkeys(_jobs(polls), PollOutcome.NOT_ENDED) | found
        states = [state for state, _ in polls if state.batch_key == ground.key]
        is_first = any(ground.scouts.cover(one.watch.job_id) is Cover.NEW for one in states)
        list_at = now + ground.next_list_seconds(is_first=is_first)
        for state in states:
            state.list_at = list_at
            if found.get(state.watch.job_id) is PollOutcome.RUNNING:
                state.listed_at = began
        jobs = [state.watch.job_id for state in states]
        asked = [one for one in jobs if found.get(one) is not PollOutcome.CHANGED]
        ground.scouts.listed(key, asked, found.keys(), now - began, now)
        self._grounds.settle(ground)
        for poll in polls:
            yield Polled(poll, found.get(poll.state.watch.job_id), began)

    def _only_ended(self, ground: Ground, polls: Sequence[Poll]) -> bool:
        """True where all of these are outside the range, and were listed in full of late."""
        since = self._clock() - ground.list_seconds
        states = [state for state, _ in polls if state.batch_key == ground.key]
        return all(
            state.listed_at > since and ground.scouts.cover(state.watch.job_id) is Cover.OUTSIDE
            for state in states
        )

    async def _compare(self, ground: Ground, comparison: Comparison) -> None:
        """Let another token list some of the jobs, if somebody still waits with it."""
        key = comparison.key
        if ground.scouts.jobs_of(key):
            access = ground.access(key)
            jobs = comparison.jobs[: capacity(access)]
            accesses = [_to(access, one) for one in jobs]
            answer = await self._waited_for(ground, key, lambda: self._requests.list_jobs(accesses))
            listing = {} if answer is None else answer[0]
            if isinstance(listing, dict):
                seen = sum(one in listing for one in jobs)
                ground.scouts.compared(comparison, seen / len(jobs), self._clock())

    async def _waited_for(
        self, ground: Ground, key: bytes, ask: Callable[[], Awaitable[T]]
    ) -> T | None:
        """What is answered to a request with the key's token; None where the last who waits with it
        goes meanwhile, or has gone."""
        if not ground.scouts.jobs_of(key):
            return None
        loop, scope = asyncio.get_running_loop(), asyncio.timeout(None)

        def give_up() -> None:
            scope.reschedule(loop.time())

        try:
            async with scope:
                ground.asking[give_up] = key
                return await ask()
        except TimeoutError:
            if not scope.expired():
                raise
            return None
        finally:
            ground.asking.pop(give_up, None)

    def _failed(
        self, ground: Ground, key: bytes, reason: Unranged, *, is_list: bool = False
    ) -> None:
        if ground.scouts.scout == key:
            own = [ground.members[one] for one in ground.scouts.jobs_of(key)]
            ground.scouts.failed(reason, self._clock(), is_list=is_list)
            self._grounds.settle(ground)
            if reason is Unranged.DENIED:
                # They are told by a poll of their own.
                for state in own:
                    self._grounds.lend(state, self._clock())


def _jobs(polls: list[Poll]) -> list[str]:
    return [poll.state.watch.job_id for poll in polls]


def _to(access: JobAccess, job_id: str) -> JobAccess:
    return replace(access, job_id=job_id)
