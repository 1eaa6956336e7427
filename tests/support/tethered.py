"""Jobs, processes that tie them to clients, and what these share, in memory and on virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.admission.identity.identities import Identity
from gateway.config import SyncConfig
from gateway.protocols.theeye.job import Job, parse_job
from gateway.sync.cancellation.canceller import Canceller, Way
from gateway.sync.jobs.reader import Found, Read
from gateway.sync.tethers.abandonment import Abandonment
from gateway.sync.tethers.tether_scripts import (
    CLAIM_SECONDS,
    Claim,
    Claimed,
    Seen,
    TethersUnknown,
    Untied,
)
from gateway.sync.tethers.tethers import Tethers
from gateway.sync.tethers.tidings import Tidings
from gateway.upstream.messages.messages import UpstreamResponse
from tests.support.theeye import exchange, finished, job, reply
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.downstream.exchange import Exchange
    from gateway.errors import Field
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.tethers.tether import TetherRecord

DONE = UpstreamResponse(204, b"No Content", (), b"")
CANCELS = ((b"X-TheEye-On-Disconnect", b"cancel"),)
CANCELS_ON_TIMEOUT = ((b"X-TheEye-On-Timeout", b"cancel"),)


@dataclass
class _Shared:
    record: TetherRecord
    seen: float
    is_let_go: bool = False
    claimer: int = 0
    until: float = 0.0


@dataclass
class SharedMemory:
    """What ``RedisTethers`` shares, for processes of one test; nobody is told while it is down."""

    kept: dict[str, _Shared] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    is_down: bool = False

    def of(self, claimer: int) -> SharedBy:
        """As one process has it."""
        return SharedBy(self, claimer)


class SharedBy:
    def __init__(self, memory: SharedMemory, claimer: int) -> None:
        self._memory = memory
        self._claimer = claimer
        self.is_dead = False
        """Its process does nothing any more."""

    async def open(self, job_id: str, record: TetherRecord) -> None:
        await self._asked("open")
        self._memory.kept[job_id] = _Shared(record, now())

    async def look(self, job_id: str, creator: bytes) -> TetherRecord | None:
        await self._asked("look")
        found = self._memory.kept.get(job_id)
        if found is None:
            return None
        if found.record.creator == creator:
            self._memory.kept[job_id] = _Shared(found.record, now())
        return found.record

    async def renew(self, job_ids: Sequence[str]) -> None:
        await self._asked("renew")
        for job_id in job_ids:
            if job_id in self._memory.kept:
                self._memory.kept[job_id].seen = now()

    async def let_go(self, job_id: str) -> None:
        await self._asked("let_go")
        if job_id in self._memory.kept:
            self._memory.kept[job_id].is_let_go = True

    async def claim(self, job_id: str, unseen_seconds: float) -> Claim:
        await self._asked("claim")
        found = self._memory.kept.get(job_id)
        if found is None or (unseen_seconds and found.is_let_go):
            return Untied()
        if unseen_seconds and found.seen + unseen_seconds > now():
            return Seen(found.seen + unseen_seconds - now())
        if found.claimer not in {0, self._claimer} and found.until > now():
            return Seen(found.until - now())
        found.claimer, found.until = self._claimer, now() + CLAIM_SECONDS
        return Claimed()

    async def end(self, job_id: str) -> None:
        await self._asked("end")
        self._memory.kept.pop(job_id, None)

    async def aclose(self) -> None:
        self._memory.asked["aclose"] += 1

    async def _asked(self, what: str) -> None:
        if self.is_dead:
            await asyncio.Event().wait()
        self._memory.asked[what] += 1
        await asyncio.sleep(0.001)
        if self._memory.is_down:
            raise TethersUnknown("down")


class Upstream:
    """Jobs that go on until they are cancelled, or ended by a test."""

    def __init__(self) -> None:
        self.ended: dict[str, float] = {}
        self.cancelled: Counter[str] = Counter()
        self.tokens: list[str] = []
        """With which jobs were cancelled."""
        self.says: Read | None = None
        """What it says of every job instead."""
        self.refuses = False
        self.read_seconds = 0.01
        self.hints: list[str] = []
        self.when_cancelled: Callable[[], None] = lambda: None

    def way(self, access: JobAccess, holder: bytes | None) -> Way:
        del holder
        return Way(access.job_id, partial(self._read, access), partial(self._send, access))

    async def _read(self, access: JobAccess) -> Read:
        await asyncio.sleep(self.read_seconds)
        if self.says is not None:
            return self.says
        is_over = access.job_id in self.ended
        found = parse_job(finished(id=access.job_id) if is_over else job(id=access.job_id))
        assert found is not None
        return Found(found, ())

    async def _send(self, access: JobAccess) -> UpstreamResponse:
        self.when_cancelled()
        self.cancelled[access.job_id] += 1
        self.tokens.append(access.credentials.query)
        await asyncio.sleep(0.01)
        if self.refuses:
            return reply(b'"Forbidden"', 403)
        self.ended[access.job_id] = now()
        return DONE


class Process:
    """One process's tied jobs, before ``upstream``."""

    def __init__(
        self,
        upstream: Upstream,
        shared: SharedBy | None = None,
        config: SyncConfig | None = None,
        **options: Any,
    ) -> None:
        config = config or SyncConfig()
        self.upstream = upstream
        self.shared = shared
        self.canceller = Canceller(upstream.hints.append)
        abandonment = Abandonment(self.canceller, upstream.way, shared, config.abandon_seconds)
        tidings = Tidings(shared, config.abandon_seconds)
        self.tethers = Tethers(abandonment, tidings, now, config, **options)
        self.tethers.start()

    async def create(self, job_id: str, *fields: Field, by: str = "t") -> None:
        """A client creates a job that is tied as the fields say, and is told of it."""
        asked = creating(*fields, by=by)
        await self.tethers.tie(asked, made(job_id), self.tethers.wish(asked, by_secret=False))

    async def aclose(self) -> None:
        await self.tethers.aclose()
        await self.canceller.aclose(1.0)


def made(job_id: str) -> Job:
    """A job that was created just now."""
    found = parse_job(job(id=job_id))
    assert found is not None
    return found


def creating(*fields: Field, by: str = "t") -> Exchange:
    """A request of a client, by its token, that creates a job to wait for."""
    return _of(exchange("POST", f"/task/t/job?wait_result=true&access_token={by}", *fields), by)


def waiting(job_id: str, by: str = "t", *, sees: bool = True) -> Exchange:
    """A request of a client for a job's result, which it was shown or not."""
    asked = _of(exchange("GET", f"/job/{job_id}/result?access_token={by}"), by)
    asked.job_state = "in_progress" if sees else ""
    return asked


def _of(asked: Exchange, by: str) -> Exchange:
    key = by.encode()
    asked.identity = Identity(key, "acme", "", "", key, is_verified=False)
    return asked
