"""Watches on for jobs whose clients have left, so that their results are kept.

A client may leave in the middle of a wait, not follow a redirect, or never have meant to wait here.
TheEye may have removed the job before the client comes again (recording autoremove). So the job is
followed: watched on, as if its client waited, and read with that client's own credentials once it
has ended.

    attended -- the client leaves --> left -- a second later --> followed --> read, or given up
        ^                              |                            |
        +-------- it comes again ------+----------------------------+

A job is given up when its time is over, when the upstream refuses the credentials, when another
needs the place, or when this process stops. Credentials are in memory until then, and no longer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from gateway.config.timing import USUAL
from gateway.errors import GatewayError, ResponseTooLarge
from gateway.sync.following.leaver import FollowedJob, Leaver
from gateway.sync.following.places import FollowedPlaces, Owner
from gateway.sync.jobs.reader import Found, Refused
from gateway.sync.kept.result_key import key_of
from gateway.sync.kept.turns import Turns
from gateway.sync.watch.state import LastSeen, WaitVerdict
from gateway.sync.workflows.waiting import awaited, wait_for
from gateway.tasks import Tasks
from gateway.upstream.messages.messages import Heard

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gateway.config import SyncConfig
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.kept.result_key import ResultKey
    from gateway.sync.kept.results import Results
    from gateway.sync.looks.lessons import Lessons
    from gateway.sync.watch.watcher import Watcher

MAX_CREDENTIALS_BYTES = 8 * 1024
"""No job is followed with larger ones, for they stay in memory."""
READS_AT_ONCE = 4
"""Nobody waits for these, so they are to be no burst for the upstream."""
_UNAUTHORIZED = 401


@dataclass(slots=True)
class _Attended:
    """A job that requests of its client wait for."""

    born: float
    requests: int = 0


class Following:
    """``clock`` gives monotonic seconds; a client that follows a redirect comes again within
    ``return_seconds``. ``lessons`` are taken of each job that was followed to its end."""

    def __init__(
        self,
        watcher: Watcher,
        results: Results,
        lessons: Lessons,
        clock: Callable[[], float],
        config: SyncConfig,
        *,
        return_seconds: float = USUAL.return_seconds,
    ) -> None:
        self._watcher = watcher
        self._results = results
        self._lessons = lessons
        self._clock = clock
        self._seconds = _seconds(config)
        self._return_seconds = return_seconds
        self._places = FollowedPlaces(config.follow_jobs)
        self._attended: dict[ResultKey, _Attended] = {}
        self._followed: dict[ResultKey, FollowedJob] = {}
        self._turns = Turns(READS_AT_ONCE)
        self._tasks = Tasks()

    def __len__(self) -> int:
        """Jobs whose clients have left."""
        return len(self._followed)

    def reconfigure(self, config: SyncConfig) -> None:
        """Follow fewer jobs, or more; each is followed for as long as it was to be."""
        self._seconds = _seconds(config)
        for loser in self._places.reconfigure(config.follow_jobs):
            self._followed.pop(loser).stop()

    def attend(self, leaver: Leaver, waited_seconds: float = 0.0) -> Attendance:
        """A request that waits for a job; its client had waited for so long before."""
        return Attendance(self, leaver, self._key(leaver), self._clock() - waited_seconds)

    def follow(self, leaver: Leaver, last_seen: LastSeen) -> None:
        """Follow a job that the client was shown and that has not ended, unless requests of the
        client wait for it."""
        key = self._key(leaver)
        if key is not None and key not in self._attended:
            self._leave(key, leaver, last_seen, self._clock())

    async def aclose(self) -> None:
        for one in [*self._followed.values()]:
            self._give_up(one)
        await self._tasks.aclose()

    def come(self, key: ResultKey, born: float) -> None:
        """A request waits for the job: it is not followed meanwhile."""
        followed = self._followed.get(key)
        if followed is not None:
            born = min(born, followed.born)
            self._give_up(followed)
        attended = self._attended.setdefault(key, _Attended(born))
        attended.born = min(attended.born, born)
        attended.requests += 1

    def go(self, key: ResultKey, leaver: Leaver, last_seen: LastSeen | None) -> None:
        """The request waits no more; ``last_seen`` is None where the job need not be followed."""
        attended = self._attended[key]
        attended.requests -= 1
        if attended.requests:
            return
        del self._attended[key]
        if last_seen is not None:
            self._leave(key, leaver, last_seen, attended.born)

    def _key(self, leaver: Leaver) -> ResultKey | None:
        """None where the job is not to be followed, whatever becomes of it."""
        if self._seconds <= 0 or leaver.holder is None:
            return None
        return key_of(leaver.access, leaver.holder)

    def _leave(self, key: ResultKey, leaver: Leaver, last_seen: LastSeen, born: float) -> None:
        if _size(leaver.access) > MAX_CREDENTIALS_BYTES:
            return
        before = self._followed.get(key)
        if before is not None:
            born = min(born, before.born)
            self._give_up(before)
        access = leaver.access
        loser = self._places.take(key, Owner(access.customer, access.client))
        if loser is not None:
            self._followed.pop(loser).stop()
        until = self._clock() + self._seconds
        one = FollowedJob(key, leaver, last_seen, born, until)
        self._followed[key] = one
        loop = asyncio.get_running_loop()
        one.timer = loop.call_later(self._return_seconds, self._begin, one)

    def _begin(self, one: FollowedJob) -> None:
        if self._results.has(one.key):
            self._forget(one)
            return
        # Fields for the client's origin are for responses to it.
        access = replace(one.leaver.access, origin=None, heard=Heard())
        one.leaver = replace(one.leaver, access=access)
        one.task = self._tasks.spawn(self._follow(one), name="follow a job")

    async def _follow(self, one: FollowedJob) -> None:
        try:
            await self._until_read(one)
        finally:
            self._forget(one)

    async def _until_read(self, one: FollowedJob) -> None:
        access, false_alarms = one.leaver.access, 0
        if access.workflow_id and await self._read_in_turn(one):
            return
        while (remaining := one.until - self._clock()) > 0:
            before = one.awaited
            verdict = await wait_for(
                self._watcher,
                access,
                one.awaited,
                remaining,
                waited_seconds=self._clock() - one.born,
                last_seen=one.last_seen,
                false_alarms=false_alarms,
                for_client=False,
            )
            if verdict is not WaitVerdict.ENDED:
                return
            if await self._read_in_turn(one):
                return
            # A workflow that has taken a step was no false alarm.
            false_alarms = false_alarms + 1 if one.awaited is before else 0
            if before is not None and one.awaited is before:
                one.awaited = before.put_off()

    async def _read_in_turn(self, one: FollowedJob) -> bool:
        async with self._turns.of(one.leaver.access.client):
            return await self._is_over(one)

    async def _is_over(self, one: FollowedJob) -> bool:
        """Read the job; False where it goes on, or nothing is known of it now."""
        read_at = self._clock()
        leaver = one.leaver
        try:
            read = await self._results.read(
                leaver.access, leaver.holder, has_ended=True, output_only=leaver.output_only
            )
        except ResponseTooLarge:
            return True
        except GatewayError:
            return False
        match read:
            case Found(job=job) if job.is_finished:
                if not leaver.access.workflow_id:
                    self._lessons.take(job, one.last_seen.unended_at)
                return True
            case Found():
                one.last_seen = LastSeen(read_at, one.last_seen.task)
                one.awaited = awaited(read, read_at, one.awaited)
            case Refused(response=response):
                if response.status == _UNAUTHORIZED:
                    self._give_up_all(leaver.access.batch_key, one)
                return True
        return False

    def _give_up_all(self, batch_key: bytes, refused: FollowedJob) -> None:
        """These credentials are good no more, and the upstream is not to be asked with them."""
        for one in [*self._followed.values()]:
            if one is not refused and one.leaver.access.batch_key == batch_key:
                self._give_up(one)

    def _give_up(self, one: FollowedJob) -> None:
        one.stop()
        self._forget(one)

    def _forget(self, one: FollowedJob) -> None:
        if self._followed.get(one.key) is one:
            del self._followed[one.key]
            self._places.give_back(one.key)


class Attendance:
    """One request that waits for a job. At its end the job is followed, if it goes on by then."""

    def __init__(
        self, following: Following, leaver: Leaver, key: ResultKey | None, born: float
    ) -> None:
        self._following = following
        self._leaver = leaver
        self._key = key
        self._born = born
        self.last_seen: LastSeen | None = None
        """Of a job that goes on; None while the client was not shown it, and once it is over."""

    def __enter__(self) -> Self:
        if self._key is not None:
            self._following.come(self._key, self._born)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._key is not None:
            self._following.go(self._key, self._leaver, self.last_seen)


def _seconds(config: SyncConfig) -> float:
    return config.follow_seconds if config.result_store != "off" else 0.0


def _size(access: JobAccess) -> int:
    lines = sum(len(name) + len(value) for name, value in access.credentials.fields)
    return len(access.credentials.query) + lines + len(access.secret)
