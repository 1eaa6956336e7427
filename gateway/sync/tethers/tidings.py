"""Tells other processes who waits here for tied jobs, and asks them for what they know."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway.sync.tethers.sharing import RENEWALS
from gateway.sync.tethers.tether import creator_hash
from gateway.sync.tethers.tether_scripts import TethersUnknown
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from gateway.sync.tethers.sharing import Shared
    from gateway.sync.tethers.tether import Presence, TetherRecord

RENEWED_AT_ONCE: Final = 500
CLOSE_SECONDS: Final = 1.0
"""Time for what is still to be told when this process ends."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What others know of a job."""

    record: TetherRecord | None
    """None where it is tied to nobody."""


class Tidings:
    """Does nothing without ``shared``; ``abandon_seconds`` as in the settings."""

    def __init__(self, shared: Shared | None, abandon_seconds: float) -> None:
        self._shared = shared
        self._gap_seconds = abandon_seconds / RENEWALS
        self._loop = Tasks()
        self._told = Tasks()

    def reconfigure(self, abandon_seconds: float) -> None:
        self._gap_seconds = abandon_seconds / RENEWALS

    @property
    def has_others(self) -> bool:
        """There may be other processes."""
        return self._shared is not None

    async def opened(self, job_id: str, record: TetherRecord) -> TetherRecord:
        """Tell of a job that is tied; the record as it may count then. What could not be told
        would not keep others from waiting unseen."""
        if self._shared is not None:
            try:
                await self._shared.open(job_id, record)
            except TethersUnknown:
                return replace(record, wish=replace(record.wish, on_disconnect=False))
        return record

    async def look(self, presence: Presence) -> Looked | None:
        """What is known of its job, as soon as that is told; it is told that its client is here if
        that has created the job. None where the request is over before."""
        shared = self._shared
        creator = creator_hash(presence.holder, presence.job_id)
        while shared is not None:
            try:
                return Looked(await shared.look(presence.job_id, creator))
            except TethersUnknown:
                if presence.departure is not None:
                    break
                await asyncio.sleep(self._gap_seconds)
        return None

    def renew(self, job_ids: Sequence[str]) -> None:
        """Somebody waits for these, or did until now."""
        if self._shared is not None and job_ids:
            self._tell(partial(_renewed, self._shared, job_ids))

    def let_go(self, job_id: str) -> None:
        """The job's creator was told that it goes on."""
        if self._shared is not None:
            self._tell(partial(self._shared.let_go, job_id))

    def end(self, job_id: str) -> None:
        """The job is over."""
        if self._shared is not None:
            self._tell(partial(self._shared.end, job_id))

    def start(self, held: Callable[[], Sequence[str] | None]) -> None:
        """Tell again and again of those that are ``held``; None: there is nothing to tell of."""
        shared = self._shared
        if shared is not None:
            self._loop.keep(lambda: self._renew(shared, held), name="tell of tethers")

    async def aclose(self) -> None:
        await self._loop.aclose()
        await self._told.aclose(CLOSE_SECONDS)
        if self._shared is not None:
            await self._shared.aclose()

    async def _renew(self, shared: Shared, held: Callable[[], Sequence[str] | None]) -> None:
        while True:
            await asyncio.sleep(self._gap_seconds)
            job_ids = held()
            if job_ids is not None:
                await _renewed(shared, job_ids)

    def _tell(self, tell: Callable[[], Awaitable[None]]) -> None:
        self._told.spawn(_told(tell), name="tell of a tether")


async def _told(tell: Callable[[], Awaitable[None]]) -> None:
    try:
        await tell()
    except TethersUnknown:
        # The store says so itself.
        return


async def _renewed(shared: Shared, job_ids: Sequence[str]) -> None:
    """Tell that these are waited for; also if they are none, which shows whether Redis answers."""
    for batch in _batches(job_ids) or [[]]:
        await _told(partial(shared.renew, batch))


def _batches(job_ids: Iterable[str]) -> list[list[str]]:
    left: Iterator[str] = iter(job_ids)
    return [*iter(lambda: list(islice(left, RENEWED_AT_ONCE)), [])]
