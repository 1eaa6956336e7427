"""Hints that a job ended, from the messages that TheEye publishes to a Redis.

A message has neither state nor result (recording redis_messages), and is a hint: it may come late,
twice, from anybody who can publish, or never. It makes the job's clients read, nothing more. While
hints are relied on the watcher polls as a safety net only; while there is no subscription, or a job
ended without a message, it polls as if there were no Redis.

             ┌───────────── lost, after a growing gap ──────────────┐
             ▼                                                      │
    connecting ── both patterns confirmed ──► subscribed ── silent, closed, refused
                         │                        │
            poll_all: ends may have               ├─ message ──► hint: clients of the job read
            been missed until now                 └─ ping answered ──► review: rely or not

Polls go on underneath, so that what a lost message costs is time, never a result.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Protocol

from gateway.backoff import Backoff
from gateway.protocols.theeye.job import ID_PATTERN
from gateway.sync.push.subscription import Lost
from gateway.sync.push.trust import Reliance
from gateway.tasks import Tasks, first_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sync.push.subscription import Subscription

AT_ONCE = 32
"""Messages in a row that are taken before other tasks may run."""
MAX_CHANNEL_BYTES = 128
FIRST_GAP_SECONDS = 0.1
MAX_GAP_SECONDS = 5.0
STEADY_SECONDS = 30.0
"""A subscription that is lost sooner counts as one more failure."""
_CHANNEL = re.compile(rf"[^:]+:(?:workflow-)?job-finished:({ID_PATTERN})".encode())
_log = logging.getLogger(__name__)


class Hinted(Protocol):
    """Takes hints: the watcher."""

    def hint(self, job_id: str) -> None:
        """Let the clients of a job that may have ended read it. Remembered for a few seconds where
        nobody waits yet."""
        raise NotImplementedError

    def poll_all(self) -> None:
        """Poll every job once, soon: hints may have been missed."""
        raise NotImplementedError

    def rely_on_hints(self, healthy: bool) -> None:
        """Poll seldom while hints come, else as if there were none, at once."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class PushStats:
    is_connected: bool
    matched: int
    """Messages that name a job, since the start."""
    dropped: int
    """Messages that name none."""
    missing: int
    """Jobs that ended without a message."""


def job_named(reply: object) -> str:
    """The id of the job that a reply of Redis says has ended, in lower case; empty where none.

    It stands in the channel, ``<organization id>:job-finished:<job id>``; the payload repeats it
    and is not read (recording redis_messages).
    """
    if not isinstance(reply, list) or len(reply) != 4 or reply[0] != b"pmessage":
        return ""
    channel = reply[2]
    if not isinstance(channel, bytes) or len(channel) > MAX_CHANNEL_BYTES:
        return ""
    found = _CHANNEL.fullmatch(channel)
    return found[1].decode().lower() if found else ""


class Push:
    """Keeps one subscription for the whole process; ``clock`` gives monotonic seconds.

    ``subscribe`` makes a new subscription, not yet open. A Redis that hangs is noticed within
    three times ``ping_seconds``; connecting and subscribing may take ``open_seconds``.
    """

    def __init__(
        self,
        subscribe: Callable[[], Subscription],
        watcher: Hinted,
        clock: Callable[[], float],
        chance: Callable[[], float],
        *,
        ping_seconds: float,
        open_seconds: float,
        late_seconds: float,
    ) -> None:
        self._subscribe = subscribe
        self._watcher = watcher
        self._clock = clock
        self._chance = chance
        self._ping_seconds = ping_seconds
        self._open_seconds = open_seconds
        self._reliance = Reliance(clock, late_seconds)
        self._tasks = Tasks()
        self._is_connected = False
        self._relies = False
        self._logged: bool | None = None
        self._matched = 0
        self._dropped = 0

    def start(self) -> None:
        self._tasks.keep(self._run, name="push")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def stats(self) -> PushStats:
        return PushStats(self._is_connected, self._matched, self._dropped, self._reliance.missing)

    def was_told(self, job_id: str) -> bool:
        """Tell whether a message about the job came lately."""
        return self._reliance.was_hinted(job_id.lower())

    def ended(self, job_id: str, unended_at: float) -> None:
        """A job that was waited for has ended, however that was noticed; when the last request
        began that did not find it ended."""
        self._reliance.ended(job_id.lower(), unended_at)

    async def _run(self) -> NoReturn:
        backoff = Backoff(FIRST_GAP_SECONDS, MAX_GAP_SECONDS, STEADY_SECONDS)
        while True:
            began = self._clock()
            reason = await self._until_lost()
            if self._logged is not False:
                self._logged = False
                _log.warning("redis: not told of ends of jobs, polling at full pace: %s", reason)
            backoff.lasted(self._clock() - began)
            await asyncio.sleep(backoff.gap(self._chance()))

    async def _until_lost(self) -> str:
        """One subscription's life; why it ended."""
        subscription = self._subscribe()
        reason = ""
        try:
            await subscription.open(self._open_seconds)
            self._connected()
            await first_of(self._listen(subscription), self._ping(subscription))
        except Lost as lost:
            reason = str(lost)
        except Exception:
            _log.exception("redis: subscription failed")
            reason = "an unexpected failure"
        finally:
            self._is_connected = False
            self._reliance.stop()
            self._settle()
            await subscription.close()
        return reason

    async def _listen(self, subscription: Subscription) -> None:
        while True:
            for _ in range(AT_ONCE):
                job_id = job_named(await subscription.message())
                if job_id:
                    self._matched += 1
                    self._reliance.hinted(job_id)
                    self._watcher.hint(job_id)
                else:
                    self._dropped += 1
            # What has been received already is read without waiting.
            await asyncio.sleep(0)

    async def _ping(self, subscription: Subscription) -> None:
        while True:
            await asyncio.sleep(self._ping_seconds)
            await subscription.ping()
            self._settle()

    def _connected(self) -> None:
        self._is_connected = self._logged = True
        _log.info("redis: told of ends of jobs")
        self._reliance.begin()
        self._settle()
        self._watcher.poll_all()

    def _settle(self) -> None:
        """Tell the watcher whether to rely on hints, where that has changed."""
        relies = self._reliance.review()
        if relies is self._relies:
            return
        self._relies = relies
        if self._is_connected and not relies:
            _log.warning("redis: a job ended without a message, polling at full pace")
        self._watcher.rely_on_hints(relies)
