"""A job that a request is held for: until it ends, the time is up, or the process is to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.admission.identity.rejection import rejection
from gateway.errors import OTHER_ORGANIZATION, Field, Response
from gateway.protocols.theeye.cors import cross_origin_fields
from gateway.protocols.theeye.job import Job
from gateway.sync.following.leaver import Leaver
from gateway.sync.jobs.access import JobAccess
from gateway.sync.jobs.reader import Found, Refused
from gateway.sync.responses import KnownJob, made_here
from gateway.sync.results.formats import Format
from gateway.sync.snapshots import Snapshot, shown
from gateway.sync.watch.state import HeldRequest, WaitVerdict
from gateway.sync.workflows.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.identity.identities import Identity
    from gateway.downstream.exchange import Exchange
    from gateway.sync.following.following import Attendance, Following
    from gateway.sync.jobs.reader import Read
    from gateway.sync.kept.results import Results
    from gateway.sync.looks.lessons import Lessons
    from gateway.sync.looks.run_times import TaskKey
    from gateway.sync.push.lateness import Lateness
    from gateway.sync.results.formatter import Formatter
    from gateway.sync.watch.watcher import Watcher


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one request wants of a job."""

    access: JobAccess
    format: Format
    holder: bytes | None
    """For whom the result is kept, None for nobody."""

    @property
    def leaver(self) -> Leaver:
        """Its client, where it leaves before the job has ended."""
        return Leaver(self.access, self.holder, self.format.is_of_output)


@dataclass(frozen=True, slots=True)
class HoldTime:
    """How long a request is held."""

    seconds: float
    waited_seconds: float = 0.0
    """How long the client has waited in earlier requests."""
    looks_last: bool = False
    """The job is read once more when the time is up."""
    hop: int = 0
    """How many requests of the wait were before this one."""


@dataclass(frozen=True, slots=True)
class Unended:
    """The hold is over, and the job is not known to have ended."""

    was_drained: bool
    """This process is to stop; else the time is up."""
    known: KnownJob
    carried: tuple[Field, ...]
    """What responses about the job carry of the upstream's fields, or as those would be."""
    snapshot: Snapshot | None = None
    """None where the client has not been shown the job."""
    job: Job | None = None
    """The whole job where it was read right now."""

    @property
    def task(self) -> TaskKey | None:
        """The task of the job, where that is known."""
        return self.snapshot.last_seen.task if self.snapshot is not None else None


class JobHold:
    """All in all a hold takes its time and one time limit of the upstream at most: no read begins
    after the time is up, but for one last look where it is asked for. A job that goes on after it
    is handed to ``following``.

    ``answered`` is told the status with which the upstream answers a client; ``lessons`` are taken
    of each job that was waited for and has ended; ``lateness`` is told of its answer.
    """

    def __init__(
        self,
        results: Results,
        watcher: Watcher,
        answered: Callable[[Identity, int, Response | None], None],
        clock: Callable[[], float],
        *,
        formatter: Formatter,
        following: Following,
        lessons: Lessons,
        lateness: Lateness,
    ) -> None:
        self._results = results
        self._watcher = watcher
        self._answered = answered
        self._formatter = formatter
        self._following = following
        self._lessons = lessons
        self._lateness = lateness
        self._clock = clock

    async def hold(
        self, exchange: Exchange, wanted: Wanted, time: HoldTime, snapshot: Snapshot | None = None
    ) -> Response | Refused | Unended:
        """The result, or why there is none, or that there is none yet. Time that it only waited is
        added to ``exchange.held_seconds``.

        ``snapshot``: what this client was shown of the job a moment ago; else it is read at once.

        Raises:
            ResponseTooLarge: the job is larger than may be held here; it is untouched.
            MemoryFull: there is no room for the job, or its result, now.
        """
        with self._following.attend(wanted.leaver, time.waited_seconds) as attendance:
            attendance.last_seen = None if snapshot is None else snapshot.last_seen
            return await self._held(exchange, wanted, time, snapshot, attendance)

    async def _held(
        self,
        exchange: Exchange,
        wanted: Wanted,
        time: HoldTime,
        snapshot: Snapshot | None,
        attendance: Attendance,
    ) -> Response | Refused | Unended:
        deadline = self._clock() + time.seconds
        needs_read = snapshot is None
        verdict: WaitVerdict | None = None
        false_alarms = 0
        job: Job | None = None
        while True:
            if needs_read:
                read_at = self._clock()
                read = await self._read(wanted, has_ended=verdict is WaitVerdict.ENDED)
                if read is None:
                    return _unended(wanted, snapshot, was_drained=True)
                if _is_final(read):
                    attendance.last_seen = None
                final = await self._final(exchange, wanted, read, snapshot)
                if final is not None:
                    return final
                false_alarms += verdict is WaitVerdict.ENDED
                before, snapshot = snapshot, _seen(read, read_at, snapshot)
                job = _job(read)
                if snapshot is not None:
                    attendance.last_seen = snapshot.last_seen
                    false_alarms *= not snapshot.has_stepped_since(before)
                del read
            needs_read = True
            remaining = deadline - self._clock()
            if remaining <= 0:
                return _unended(wanted, snapshot, job)
            # The job may be large; while the request is held nothing keeps it.
            job = None
            verdict = await self._wait(
                exchange, wanted, time, remaining, snapshot, false_alarms=false_alarms
            )
            if verdict is WaitVerdict.DRAINED:
                return _unended(wanted, snapshot, was_drained=True)
            if verdict is WaitVerdict.TIME_UP and not time.looks_last:
                return _unended(wanted, snapshot)

    async def _final(
        self, exchange: Exchange, wanted: Wanted, read: Read, snapshot: Snapshot | None
    ) -> Response | Refused | None:
        """What a read leads to, None where the job goes on or nothing was said."""
        match read:
            case Refused():
                refused = read.response
                said = rejection(refused.status, refused.reason, refused.fields, refused.content)
                self._answered(exchange.identity, refused.status, said)
                exchange.job_state = ""
                if read.is_ours:
                    exchange.refuse(OTHER_ORGANIZATION)
                return read
            case Found():
                self._answered(exchange.identity, 200, None)
                exchange.job_state = read.job.shown_state
                if read.job.is_finished:
                    was_awaited = snapshot is not None and not wanted.access.workflow_id
                    unended_at = 0.0 if snapshot is None else snapshot.last_seen.unended_at
                    if was_awaited:
                        self._lessons.take(read.job, unended_at)
                    made = await self._formatter.result(exchange, read.job, wanted.format)
                    if was_awaited:
                        self._lateness.answered(read.job, unended_at, exchange.started)
                    return made_here(made, read.fields)
        return None

    async def _read(self, wanted: Wanted, *, has_ended: bool) -> Read | None:
        """The job; None where this process is to stop before it is there."""
        reading = self._results.read(
            wanted.access,
            wanted.holder,
            has_ended=has_ended,
            output_only=wanted.format.is_of_output,
        )
        return await self._watcher.unless_drained(reading)

    async def _wait(
        self,
        exchange: Exchange,
        wanted: Wanted,
        time: HoldTime,
        remaining: float,
        snapshot: Snapshot | None,
        *,
        false_alarms: int,
    ) -> WaitVerdict:
        began = self._clock()
        awaited = snapshot.awaited if snapshot is not None else None
        waiting = wait_for(
            self._watcher,
            wanted.access,
            awaited,
            remaining,
            waited_seconds=time.waited_seconds + time.seconds - remaining,
            last_seen=snapshot.last_seen if snapshot is not None else None,
            false_alarms=false_alarms,
            request=HeldRequest(exchange.identity, exchange.request_id, time.hop),
        )
        try:
            if exchange.trace is None:
                return await waiting
            also = awaited.job_id if awaited is not None else ""
            with exchange.trace.holding(wanted.access.job_id, also):
                return await waiting
        finally:
            exchange.held_seconds += self._clock() - began


def _seen(read: Read, read_at: float, before: Snapshot | None) -> Snapshot | None:
    """What the client has been shown after a read; None where it was shown nothing yet."""
    if isinstance(read, Found):
        return shown(read, read_at, before)
    return before.put_off() if before is not None else None


def _job(read: Read) -> Job | None:
    return read.job if isinstance(read, Found) else None


def _is_final(read: Read) -> bool:
    """Tell whether there is no more to wait for."""
    return isinstance(read, Refused) or (isinstance(read, Found) and read.job.is_finished)


def _unended(
    wanted: Wanted, snapshot: Snapshot | None, job: Job | None = None, *, was_drained: bool = False
) -> Unended:
    if snapshot is not None:
        return Unended(was_drained, snapshot.known, snapshot.fields, snapshot, job)
    known = KnownJob(wanted.access.job_id, None, None)
    return Unended(was_drained, known, cross_origin_fields(wanted.access.origin))
