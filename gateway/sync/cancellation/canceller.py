"""Cancels jobs that have not ended, each by one request at a time, and tells what came of it.

TheEye looks at no organization when it cancels, and 4.4.3 and 4.6.0 cancel a job that has ended and
overwrite its result (recording cancel). So a job is read first, with the same token, and only one
that goes on is cancelled. Between the two it may end: TheEye has nothing to prevent that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.errors import BadGateway, GatewayError
from gateway.sync.jobs.reader import Found, Refused, passed
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.errors import Field, Response
    from gateway.protocols.theeye.job import Job
    from gateway.sync.jobs.reader import Read
    from gateway.upstream.messages.messages import UpstreamResponse


class CancelReason(StrEnum):
    """Why a job is to be cancelled; a metric's label."""

    REQUEST = "request"
    """A client asks for it."""
    TIMEOUT = "timeout"
    """The wait of its creator is over."""
    DISCONNECT = "disconnect"
    """Nobody has come back to wait for it."""


class CancelVerdict(StrEnum):
    """What came of it; a metric's label."""

    CANCELLED = "cancelled"
    ENDED = "ended"
    """The job had ended before."""
    REFUSED = "refused"
    """The upstream does not let this client see it, or cancel it."""
    WITHDRAWN = "withdrawn"
    """Somebody wants the job after all."""
    FAILED = "failed"
    """The upstream did not say."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a client cancels one job, be it a task's or a workflow's."""

    job_id: str
    read: Callable[[], Awaitable[Read]]
    """Reads the job with the client's own token; raises GatewayError."""
    send: Callable[[], Awaitable[UpstreamResponse | None]]
    """Sends the upstream the one request that cancels it, or gives None where it is not to be
    cancelled after all; raises GatewayError."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The upstream has cancelled the job."""

    job: Job
    """As it stood before."""
    fields: tuple[Field, ...]
    """What responses about the job carry."""


@dataclass(frozen=True, slots=True)
class HasEnded:
    """The job had ended, so nothing was sent."""

    job: Job


@dataclass(frozen=True, slots=True)
class NotCancelled:
    """The upstream let the client read the job, which goes on, and not cancel it."""

    job: Job
    response: Response


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """It is not wanted any more, and nothing was sent."""


@dataclass(frozen=True, slots=True)
class Unread:
    """The job could not be read, so nothing was sent."""

    failure: GatewayError


Ending = Cancelled | HasEnded | Refused | NotCancelled | Withdrawn | Unread


class Canceller:
    """``hint`` is told the id of each job that was cancelled: all who wait for it should look."""

    def __init__(self, hint: Callable[[str], None]) -> None:
        self._hint = hint
        self._tasks = Tasks()
        self._under_way: dict[str, asyncio.Task[Ending]] = {}
        """By job; no more of them than requests under way."""
        self._counts: Counter[tuple[CancelReason, CancelVerdict]] = Counter()

    async def cancel(self, way: Way, reason: CancelReason) -> Ending:
        """Read the job, and cancel it if it has not ended; goes on to the end also if the client
        leaves. What else in this process would cancel the same job waits, and then reads it.

        Raises:
            GatewayError: the upstream did not say whether it has cancelled the job.
        """
        key = way.job_id.lower()
        while (other := self._under_way.get(key)) is not None:
            await asyncio.wait([other])
        task = self._tasks.spawn(self._ending(way, reason), name="cancel")
        self._under_way[key] = task
        task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    def stats(self) -> Mapping[tuple[CancelReason, CancelVerdict], int]:
        """Count what came of cancellations so far."""
        return dict(self._counts)

    async def aclose(self, grace_seconds: float) -> None:
        """Let what was begun come to its end, for ``grace_seconds`` at most."""
        await self._tasks.aclose(grace_seconds)

    async def _ending(self, way: Way, reason: CancelReason) -> Ending:
        verdict = CancelVerdict.FAILED
        try:
            ending = await self._attempted(way)
            verdict = _verdict(ending)
        finally:
            self._counts[reason, verdict] += 1
        return ending

    async def _attempted(self, way: Way) -> Ending:
        try:
            read = await way.read()
        except GatewayError as failure:
            return Unread(failure)
        match read:
            case Refused():
                return read
            case Found() if read.job.is_finished:
                return HasEnded(read.job)
            case Found():
                return await self._sent(way, read)
        message = "The upstream does not say whether the job has ended: it is not cancelled"
        return Unread(BadGateway(message))

    async def _sent(self, way: Way, read: Found) -> Ending:
        reply = await way.send()
        if reply is None:
            return Withdrawn()
        if not 200 <= reply.status < 300:
            return NotCancelled(read.job, passed(reply))
        self._hint(way.job_id)
        return Cancelled(read.job, read.fields)


def _verdict(ending: Ending) -> CancelVerdict:
    match ending:
        case Cancelled():
            return CancelVerdict.CANCELLED
        case HasEnded():
            return CancelVerdict.ENDED
        case Withdrawn():
            return CancelVerdict.WITHDRAWN
        case Unread():
            return CancelVerdict.FAILED
    return CancelVerdict.REFUSED
