"""Cancels jobs that nobody waits for any more, with the token of their creator."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.errors import GatewayError
from gateway.sync.cancellation.canceller import (
    Cancelled,
    CancelReason,
    NotCancelled,
    Unread,
    Withdrawn,
)
from gateway.sync.jobs.reader import Refused
from gateway.sync.tethers.sharing import patience
from gateway.sync.tethers.tether_scripts import Seen, TethersUnknown, Untied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.sync.cancellation.canceller import Canceller, Ending, Way
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.tethers.sharing import Shared
    from gateway.sync.tethers.tether import Presence, Tether
    from gateway.upstream.messages.messages import UpstreamResponse

AT_ONCE: Final = 8
"""Jobs that are cancelled side by side: many may be left at the same moment."""
ATTEMPTS: Final = 60
"""Attempts of which nothing came, before a job is given up: an hour, about."""
FIRST_GAP_SECONDS: Final = 2.0
LONGEST_GAP_SECONDS: Final = 60.0
_log = logging.getLogger(__name__)


class Abandonment:
    """``way`` is how a client with an access cancels its job, and a hash of who it is."""

    def __init__(
        self,
        canceller: Canceller,
        way: Callable[[JobAccess, bytes | None], Way],
        shared: Shared | None,
        abandon_seconds: float,
    ) -> None:
        self._canceller = canceller
        self._way = way
        self._shared = shared
        self._abandon_seconds = abandon_seconds
        self._turn = asyncio.Semaphore(AT_ONCE)

    def reconfigure(self, abandon_seconds: float) -> None:
        """Have another time, for jobs that are judged from now on."""
        self._abandon_seconds = abandon_seconds

    async def judged(self, tether: Tether) -> float | None:
        """Cancel a job that nobody has waited for here, unless somebody does elsewhere.

        Returns:
            The seconds after which to judge again; None where it is over.
        """
        if self._shared is not None:
            try:
                seconds = patience(self._abandon_seconds, has_others=True)
                claim = await self._shared.claim(tether.job_id, seconds)
            except TethersUnknown:
                return self._again(tether)
            match claim:
                case Seen(seconds=seconds):
                    tether.attempts = 0
                    return seconds
                case Untied():
                    return None
        return await self._cancelled(tether)

    async def _cancelled(self, tether: Tether) -> float | None:
        access = tether.access
        if access is None:
            return None
        ending = await self._ending(access, tether.holder, CancelReason.DISCONNECT, tether)
        if isinstance(ending, Withdrawn):
            return self._abandon_seconds
        if isinstance(ending, Unread) and (seconds := self._again(tether)) is not None:
            return seconds
        await self._over(tether.job_id, ending, CancelReason.DISCONNECT)
        return None

    async def timed_out(self, presence: Presence) -> None:
        """Cancel a job whose creator's wait is over, whoever else waits for it."""
        if self._shared is not None:
            try:
                claim = await self._shared.claim(presence.job_id, 0.0)
            except TethersUnknown:
                # It is the creator who wants it.
                claim = None
            if isinstance(claim, Seen | Untied):
                return
        reason = CancelReason.TIMEOUT
        ending = await self._ending(presence.access, presence.holder, reason)
        for attempt in range(ATTEMPTS):
            if not isinstance(ending, Unread):
                break
            await asyncio.sleep(_gap(attempt))
            ending = await self._ending(presence.access, presence.holder, reason)
        await self._over(presence.job_id, ending, reason)

    async def _ending(
        self,
        access: JobAccess,
        holder: bytes | None,
        reason: CancelReason,
        tether: Tether | None = None,
    ) -> Ending | GatewayError:
        way = self._way(access, holder)
        if tether is not None:
            way = replace(way, send=partial(_unless_held, tether, way.send))
        async with self._turn:
            try:
                return await self._canceller.cancel(way, reason)
            except GatewayError as failure:
                return failure

    def _again(self, tether: Tether) -> float | None:
        """The seconds until another attempt, None where there were enough."""
        tether.attempts += 1
        if tether.attempts > ATTEMPTS:
            _log.warning("job %s cannot be cancelled, though nobody waits for it", tether.job_id)
            return None
        return _gap(tether.attempts - 1)

    async def _over(self, job_id: str, ending: Ending | GatewayError, reason: CancelReason) -> None:
        why = (
            f"nobody has waited for it for {self._abandon_seconds:g} s"
            if reason is CancelReason.DISCONNECT
            else "its creator's wait is over"
        )
        match ending:
            case Cancelled():
                _log.info("job %s is cancelled: %s", job_id, why)
            case Refused(response=response) | NotCancelled(response=response):
                status = response.status
                _log.info("job %s is not cancelled, refused with %d: %s", job_id, status, why)
            case GatewayError() | Unread():
                _log.warning("job %s may not be cancelled, nothing was said: %s", job_id, why)
        if self._shared is not None:
            try:
                await self._shared.end(job_id)
            except TethersUnknown:
                # It is forgotten in time.
                return


async def _unless_held(
    tether: Tether, send: Callable[[], Awaitable[UpstreamResponse | None]]
) -> UpstreamResponse | None:
    """Cancel the job, if nobody has come to wait for it while it was read."""
    return None if tether.is_held else await send()


def _gap(attempt: int) -> float:
    return min(LONGEST_GAP_SECONDS, FIRST_GAP_SECONDS * 2.0 ** min(attempt, 10))
