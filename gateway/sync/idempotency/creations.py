"""Creates one job for each key: the first request makes it, repetitions get the same reply.

Requests with the same key that come while the first is under way in this process wait for it. One
of them asks the store, for all: it is the first and sends the request, or waits for a sender in
another process, for a while.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.config.timing import USUAL
from gateway.errors import (
    Field,
    GatewayError,
    IdempotencyInProgress,
    IdempotencyMismatch,
    IdempotencyUnavailable,
    IdempotencyUnknown,
)
from gateway.sync.idempotency.first_request import FirstRequests
from gateway.sync.idempotency.keyed_request import KeyedRequest, keyed_request
from gateway.sync.idempotency.repetition import Repetitions
from gateway.sync.idempotency.sealing import opened
from gateway.sync.keys.state import NOBODY_KNOWS, KeyRecord, KeyState
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import SyncConfig
    from gateway.downstream.exchange import Exchange
    from gateway.protocols.theeye.job import Job
    from gateway.protocols.theeye.routes import CreateRoute
    from gateway.sync.idempotency.first_request import FirstEnding, Sending
    from gateway.sync.idempotency.repetition import ReadJob
    from gateway.sync.keys.state import KeyName
    from gateway.sync.keys.stores import KeyStore
    from gateway.upstream.messages.messages import UpstreamResponse

_RETRY_SOON: Final[Field] = (b"Retry-After", b"1")


@dataclass(frozen=True, slots=True)
class Made:
    """What a creating request comes to."""

    reply: UpstreamResponse
    is_replayed: bool = False
    """It is the reply to an earlier request."""


@dataclass(frozen=True, slots=True)
class KeyStats:
    """Creations with a key so far, by what became of them; and keys kept now, where they are kept
    in this process."""

    verdicts: dict[str, int]
    kept: int | None


@dataclass(frozen=True, slots=True)
class _Flight:
    request: KeyedRequest
    ending: asyncio.Task[FirstEnding]


class KeyedCreations:
    """``store`` is None where keys cannot be kept, as several workers would not share them.
    ``clock`` gives monotonic seconds; for the others see ``Repetitions``."""

    def __init__(
        self,
        store: KeyStore | None,
        read: ReadJob,
        job_of: Callable[[UpstreamResponse], Job | None],
        clock: Callable[[], float],
        fresh_seconds: float = USUAL.fresh_seconds,
    ) -> None:
        self._store = store
        self._repetitions = Repetitions(read, job_of, fresh_seconds)
        self._flights: dict[KeyName, _Flight] = {}
        """No more of them than requests under way."""
        self._tasks = Tasks()
        self._firsts = None if store is None else FirstRequests(store, job_of, clock, self._tasks)
        self._verdicts = dict.fromkeys(("first", "replayed", "failed"), 0)

    def reconfigure(self, config: SyncConfig) -> None:
        """Have other bounds for what is kept."""
        if self._store is not None:
            self._store.reconfigure(config)

    def stats(self) -> KeyStats:
        return KeyStats(dict(self._verdicts), None if self._store is None else self._store.count)

    async def make(
        self, exchange: Exchange, route: CreateRoute, key: str, content: bytes, sending: Sending
    ) -> Made:
        """Send the request if it is the first with its key, else give the first one's reply.

        Goes on to its end also if the client leaves.

        Raises:
            IdempotencyMismatch: the key was used for another request.
            IdempotencyUnknown: nobody knows whether the first request has made a job.
            IdempotencyInProgress: it is under way in another process, and takes long.
            IdempotencyGone: the job that it made is gone.
            IdempotencyUnavailable: it cannot be told whether this is the first.
            GatewayError: as ``sending`` or reading the job fails.
        """
        request = keyed_request(exchange, route, key, content)
        try:
            made = await self._made(exchange, route, request, sending)
        except GatewayError:
            self._verdicts["failed"] += 1
            raise
        self._verdicts["replayed" if made.is_replayed else "first"] += 1
        return made

    async def aclose(self, grace_seconds: float) -> None:
        """Let the jobs that are being created come to be, for ``grace_seconds`` at most."""
        await self._tasks.aclose(grace_seconds)
        if self._store is not None:
            await self._store.aclose()

    async def _made(
        self, exchange: Exchange, route: CreateRoute, request: KeyedRequest, sending: Sending
    ) -> Made:
        firsts = self._firsts
        if firsts is None:
            raise IdempotencyUnavailable(
                "Idempotency keys cannot be kept here: several workers need redis.url for that"
            )
        while True:
            flight = self._flights.get(request.name)
            is_own = flight is None
            if flight is None:
                flight = self._begin(firsts, request, sending)
            ending = await asyncio.shield(flight.ending)
            record = ending.record
            if is_own and ending.reply is not None:
                return Made(ending.reply)
            if flight.request.fingerprint != request.fingerprint:
                # The other may be the one that is not like the first.
                continue
            if record.state is KeyState.ABSENT and ending.reply is not None:
                if flight.request.proof != request.proof:
                    # What the upstream refuses may be the other token.
                    continue
                return Made(ending.reply, is_replayed=True)
            if ending.failure is not None:
                raise _failure(ending.failure, record, is_own=is_own)
            return await self._repeated(exchange, route, request, record)

    async def _repeated(
        self, exchange: Exchange, route: CreateRoute, request: KeyedRequest, record: KeyRecord
    ) -> Made:
        if record.fingerprint != request.fingerprint:
            raise IdempotencyMismatch(
                "This Idempotency-Key was used for another request: another path, query or content"
            )
        if record.state is KeyState.SENDING:
            raise IdempotencyInProgress(
                "The first request with this Idempotency-Key is still under way",
                fields=(_RETRY_SOON,),
            )
        creation = opened(record.sealed, request)
        if record.state is KeyState.UNKNOWN or creation is None:
            raise IdempotencyUnknown(NOBODY_KNOWS)
        reply = await self._repetitions.reply(exchange, route, creation, record.age_seconds)
        # What the upstream refuses this client now is no reply to the first request.
        return Made(reply, is_replayed=reply.status < 400)

    def _begin(self, firsts: FirstRequests, request: KeyedRequest, sending: Sending) -> _Flight:
        # A task of its own: the client may leave, others may have joined it.
        ending = self._tasks.spawn(self._ended(firsts, request, sending), name="keyed create")
        flight = self._flights[request.name] = _Flight(request, ending)
        return flight

    async def _ended(
        self, firsts: FirstRequests, request: KeyedRequest, sending: Sending
    ) -> FirstEnding:
        try:
            return await firsts.ending(request, sending)
        finally:
            del self._flights[request.name]


def _failure(failure: GatewayError, record: KeyRecord, *, is_own: bool) -> GatewayError:
    """The failure of the first request, as it is to be told to one that waited with it."""
    if is_own:
        return failure
    if record.state is KeyState.UNKNOWN:
        return IdempotencyUnknown(NOBODY_KNOWS)
    # Of its own: what answers a request may add to the failure.
    return type(failure)(failure.message, fields=failure.fields)
