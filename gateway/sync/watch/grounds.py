"""The watches by who asks for them next: their waiters' tokens, or their organization's scout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sync.jobs.ranges import Unranged
from gateway.sync.looks.cover import SCOUTED, Cover
from gateway.sync.looks.scouts import UNKNOWN_SECONDS
from gateway.sync.watch.batches import NEVER, Batch, Batches
from gateway.sync.watch.ground import Ground
from gateway.sync.watch.state import JobLook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gateway.config import SyncConfig
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.watch.state import PollState


class Grounds(Batches):
    """Batches, with one for each organization that has a scout."""

    def __init__(
        self,
        plan: Callable[[PollState, float], None],
        clock: Callable[[], float],
        config: SyncConfig,
    ) -> None:
        super().__init__()
        self._plan = plan
        self._clock = clock
        self._config = config
        self._grounds: dict[bytes, Ground] = {}
        self._lists = 0
        self._unknown_until = -NEVER
        self._is_relaxed = False
        """Ends are told otherwise, so nothing is gained by more looks."""

    @property
    def grounds(self) -> Iterator[Ground]:
        return iter(self._grounds.values())

    def reconfigure(self, config: SyncConfig, states: Iterable[PollState]) -> None:
        """Have other settings; ``states`` are all that there are."""
        had_scouts, self._config = self._config.scouts, config
        if config.scouts is not had_scouts:
            for state in [*states]:
                if state.batch_key is not None:
                    self.take_out(state)
                    self.put(state)
        for ground in self.grounds:
            self.settle(ground)
        self.free_by(self._clock() + config.min_poll_seconds)

    def put(self, state: PollState) -> None:
        access = state.watch.first.access
        if not self._may_join(state):
            super().put(state)
            return
        key = _ground_key(access)
        ground = self._grounds.get(key)
        if ground is None:
            ground = self._grounds[key] = Ground(key, self._plan, self._unknown_until)
        ground.members[state.watch.job_id] = state
        ground.scouts.join(state.watch.job_id, access.batch_key, self._clock())
        self._place(ground, state)
        self.settle(ground)

    def take_out(self, state: PollState) -> None:
        super().take_out(state)
        ground = self.ground_of(state)
        if ground is not None:
            job_id = state.watch.job_id
            del ground.members[job_id]
            state.ground_key = None
            ground.scouts.leave(job_id, self._clock())
            ground.moved.pop(job_id, None)
            self.settle(ground)
            if not ground.members:
                del self._grounds[ground.key]

    def rebatch(self, state: PollState) -> bool:
        """Poll with the credentials of the first waiter, who may be another; True where that is
        another batch."""
        before = state.batch_key
        if before is None:
            return False
        access = state.watch.first.access
        ground = self.ground_of(state)
        if ground is None or _ground_key(access) != ground.key:
            if ground is None and before == access.batch_key and not self._may_join(state):
                return False
            self.take_out(state)
            self.put(state)
        else:
            ground.scouts.rekey(state.watch.job_id, access.batch_key, self._clock())
            self._place(ground, state)
            self.settle(ground)
        return state.batch_key != before

    def clear(self) -> None:
        super().clear()
        for ground in self.grounds:
            ground.members.clear()
            ground.moved.clear()
        self._grounds.clear()

    def ground_of(self, state: PollState) -> Ground | None:
        """The ground of a watch that is a member of one."""
        key = state.ground_key
        return self._grounds.get(key) if key is not None else None

    def settle(self, ground: Ground) -> None:
        """Put watches where they belong now."""
        self._lists += ground.scouts.lists - ground.lists
        ground.lists = ground.scouts.lists
        config = self._config
        slowest = config.safety_net_seconds if self._is_relaxed else 0.0
        ground.list_seconds = max(
            config.max_poll_seconds, self._lists / config.max_polls_per_second, slowest
        )
        ground.hurry(is_relaxed=self._is_relaxed)
        ground.withdraw()
        while ground.moved:
            job_id = next(iter(ground.moved))
            del ground.moved[job_id]
            self._place(ground, ground.members[job_id])
        if ground.members:
            # It may have nothing to ask for, and all the same a scout to be reviewed.
            self._advance(ground, ground.next_due)

    def lend(self, state: PollState, due: float) -> None:
        """Have a watch polled once with its own waiter's token, in a list that shows it."""
        state.due, state.listed_at = due, -NEVER
        super().take_out(state)
        self.put_into(state, state.watch.first.access.batch_key, Batch)

    def bring_forward(self, gap: Callable[[PollState, float], float]) -> None:
        """Let watches be due no later than a gap after they were planned, which is less now."""
        for batch in [*self]:
            for state in batch.states:
                if state.flight is None:
                    since = state.planned_at
                    state.due = min(state.due, since + gap(state, since))
                    self.expect(state)

    def relax(self, *, relaxed: bool) -> None:
        self._is_relaxed = relaxed
        for ground in self.grounds:
            self.settle(ground)
            for state in [] if relaxed else ground.states:
                state.list_at = min(state.list_at, self._clock() + ground.list_seconds)
                self.expect(state)

    def give_up(self, now: float) -> None:
        """Have all asked for without scouts for a while: the upstream does not know ranges."""
        self._unknown_until = now + UNKNOWN_SECONDS
        for ground in self.grounds:
            ground.scouts.failed(Unranged.UNKNOWN, now)
            self.settle(ground)

    def catch_up(self, state: PollState) -> None:
        """Let a watch know of the last look of its organization's scout."""
        ground = self.ground_of(state)
        if ground is not None:
            ground.catch_up(state)

    def look_of(self, state: PollState) -> JobLook:
        """How a watch's job is looked for."""
        watch, ground = state.watch, self.ground_of(state)
        if ground is None:
            return JobLook(Cover.OWN, watch.unended_at)
        cover, ids = ground.scouts.cover(watch.job_id), ground.looked_ids
        is_seen = cover is Cover.LEFT and ids is not None and watch.job_id in ids
        looked_at = ground.looked_at if is_seen else watch.unended_at
        return JobLook(cover, max(watch.unended_at, looked_at))

    def _may_join(self, state: PollState) -> bool:
        is_shared = not state.watch.is_private and not state.watch.first.access.secret
        return self._config.scouts and is_shared

    def _place(self, ground: Ground, state: PollState) -> None:
        job_id = state.watch.job_id
        state.ground_key = ground.key
        is_scouted = ground.scouts.cover(job_id) in SCOUTED
        own = state.watch.first.access.batch_key
        key = ground.key if is_scouted else own
        if state.batch_key != key:
            is_left = ground.scouts.cover(job_id) is Cover.LEFT
            # Its own waiter's token has shown it, or was to.
            state.list_at = self._clock() + ground.list_seconds if is_left else NEVER
            state.listed_at = -NEVER
            super().take_out(state)
            self.put_into(state, key, (lambda _: ground) if is_scouted else Batch)
        elif is_scouted:
            self.expect(state)


def _ground_key(access: JobAccess) -> bytes:
    return b"scout of " + access.customer.encode(errors="surrogatepass")
