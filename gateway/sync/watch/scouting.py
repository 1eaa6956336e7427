"""The requests of a scout: looks at a range, lists by id, and comparisons of tokens.

What they say of a job is passed on as a hint that it ended, and nothing else. Each waiter then
reads with its own token.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.sync.jobs.listing import Unlisted, capacity
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.jobs.ranges import Unranged
from gateway.sync.looks.scouts import Comparison
from gateway.sync.watch.poll_requests import Poll, Polled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.ranges import IdRange
    from gateway.sync.watch.ground import Ground
    from gateway.sync.watch.grounds import Grounds
    from gateway.sync.watch.poll_requests import PollRequests

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
        for state in ground.freshen(now):
            self._grounds.lend(state, now + _LENT_SECONDS)
        access, ids = ground.scout(), ground.scouts.bounds()
        if access is None:
            return None
        comparison = ground.scouts.compare(now)
        if comparison is not None and not ground.is_listing:
            ground.is_listing = True
            return comparison
        look_at, list_at = ground.look_at(), ground.list_at()
        if ids is not None and look_at <= min(now, list_at):
            ground.is_looking, ground.is_urgent = True, False
            return RangeLook(access, ids)
        if list_at <= now:
            states = ground.to_list(now, capacity(access))
            ground.is_listing = bool(states)
            return [Poll(state, _to(access, state.watch.job_id)) for state in states]
        return None

    def over(self, ground: Ground, request: Request) -> None:
        """The request has come to its end, whatever that was."""
        if isinstance(request, RangeLook):
            ground.is_looking = False
        else:
            ground.is_listing = False
        self._grounds.settle(ground)
        if ground.states:
            self._grounds.retime(ground)

    async def ask(self, ground: Ground, request: RangeLook | Comparison) -> None:
        """Send the request, and act on what it says."""
        if isinstance(request, RangeLook):
            await self._look(ground, request)
        else:
            await self._compare(ground, request)

    async def _look(self, ground: Ground, look: RangeLook) -> None:
        """Look at a range, and tell of the jobs that have ended."""
        ended, began = await self._requests.look(*look)
        now = self._clock()
        if isinstance(ended, Unranged):
            if ended is Unranged.UNKNOWN and not self._is_known:
                self._grounds.give_up(now)
            else:
                self._failed(ground, look.access.batch_key, ended)
            return
        self._is_known = True
        states = [state for one in ended if (state := ground.members.get(one)) is not None]
        strangers = [one for one in ended if one not in ground.members]
        self._requests.strangers += len(strangers)
        for state in states:
            ground.catch_up(state)
            self._tell(Poll(state, look.access), PollOutcome.CHANGED, began)
        ground.looked(began, now)
        ground.scouts.looked(look.ids, strangers, now - began, now)

    async def list(self, ground: Ground, polls: list[Poll]) -> AsyncGenerator[Polled, None]:
        """Poll jobs in a list by id, with the scout's token; those that it does not have are to be
        polled with their own waiters' tokens."""
        key = polls[0].access.batch_key
        listing, began = await self._requests.list_all([access for _, access in polls])
        now = self._clock()
        if isinstance(listing, Unlisted) and listing is not Unlisted.TOO_MUCH:
            self._failed(ground, key, _REASONS[listing])
            said = PollOutcome.FAILING if listing is Unlisted.FAILING else None
            for poll in polls:
                yield Polled(poll, said, began)
            return
        found = {} if isinstance(listing, Unlisted) else listing
        states = [state for state, _ in polls if state.batch_key == ground.key]
        for state in states:
            state.list_at = now + ground.list_seconds
        jobs = [state.watch.job_id for state in states]
        asked = [one for one in jobs if found.get(one) is not PollOutcome.CHANGED]
        ground.scouts.listed(key, asked, found.keys(), now - began, now)
        self._grounds.settle(ground)
        for poll in polls:
            yield Polled(poll, found.get(poll.state.watch.job_id), began)

    async def _compare(self, ground: Ground, comparison: Comparison) -> None:
        """Let another token list some of the jobs, if somebody still waits with it."""
        if ground.scouts.jobs_of(comparison.key):
            access = ground.access(comparison.key)
            jobs = comparison.jobs[: capacity(access)]
            listing, _ = await self._requests.list_all([_to(access, one) for one in jobs])
            if isinstance(listing, dict):
                seen = sum(one in listing for one in jobs)
                ground.scouts.compared(comparison, seen / len(jobs))

    def _failed(self, ground: Ground, key: bytes, reason: Unranged) -> None:
        if ground.scouts.scout == key:
            own = [ground.members[one] for one in ground.scouts.jobs_of(key)]
            ground.scouts.failed(reason, self._clock())
            self._grounds.settle(ground)
            if reason is Unranged.DENIED:
                # They are told by a poll of their own.
                for state in own:
                    self._grounds.lend(state, self._clock())


def _to(access: JobAccess, job_id: str) -> JobAccess:
    return replace(access, job_id=job_id)
