"""The first request with a key: it claims the key, is sent, and settles what is known then.

Whoever finds the key claimed by a sender in another process waits for that one, for a while.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from gateway.errors import GatewayError, IdempotencyUnavailable
from gateway.sync.idempotency.keyed_request import HASH_BYTES
from gateway.sync.idempotency.sealing import Creation, sealed
from gateway.sync.keys.state import ABSENT, LEASE_SECONDS, KeyRecord, KeyState

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.protocols.theeye.job import Job
    from gateway.sync.idempotency.keyed_request import KeyedRequest
    from gateway.sync.keys.stores import KeyStore
    from gateway.tasks import Tasks
    from gateway.upstream.messages.messages import UpstreamResponse

JOIN_SECONDS: Final = 10.0
"""How long another process's request is waited for."""
FIRST_GAP_SECONDS: Final = 0.02
LONGEST_GAP_SECONDS: Final = 0.25
"""Between two looks at it."""
SETTLE_ATTEMPTS: Final = 30
SETTLE_GAP_SECONDS: Final = 2.0
_SEE_OTHER: Final = 303


class Sending(Protocol):
    """A request that creates a job, on its way upstream."""

    @property
    def was_sent(self) -> bool:
        """Something of it has gone out to the upstream."""
        raise NotImplementedError

    async def reply(self) -> UpstreamResponse:
        """Send it, once, and read the whole reply; raises GatewayError."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class FirstEnding:
    """What the request that asked the store found, or made, for all that wait with it."""

    record: KeyRecord
    reply: UpstreamResponse | None = field(default=None, repr=False)
    """The upstream's, to a request that was sent just now."""
    failure: GatewayError | None = None
    """There was none."""


class FirstRequests:
    """Claims keys in ``store`` and sends what is first. ``clock`` gives monotonic seconds; leases
    are renewed, and keys settled that the store failed to take, in ``tasks``."""

    def __init__(
        self,
        store: KeyStore,
        job_of: Callable[[UpstreamResponse], Job | None],
        clock: Callable[[], float],
        tasks: Tasks,
    ) -> None:
        self._store = store
        self._job_of = job_of
        self._clock = clock
        self._tasks = tasks

    async def ending(self, request: KeyedRequest, sending: Sending) -> FirstEnding:
        """What becomes of the request, or of the one that came first, once that is known."""
        sender = secrets.token_bytes(HASH_BYTES)
        deadline = self._clock() + JOIN_SECONDS
        gap = FIRST_GAP_SECONDS
        try:
            while True:
                record = await self._store.claim(request.name, request.fingerprint, sender)
                if record.state is KeyState.ABSENT:
                    return await self._sent(request, sending, sender)
                is_under_way = record.state is KeyState.SENDING
                if not is_under_way or record.fingerprint != request.fingerprint:
                    return FirstEnding(record)
                if self._clock() >= deadline:
                    return FirstEnding(record)
                await asyncio.sleep(gap)
                gap = min(2 * gap, LONGEST_GAP_SECONDS)
        except IdempotencyUnavailable as failure:
            return FirstEnding(ABSENT, failure=failure)

    async def _sent(self, request: KeyedRequest, sending: Sending, sender: bytes) -> FirstEnding:
        renewing = self._tasks.spawn(self._renew(request, sender), name="renew key")
        unknown = KeyRecord(KeyState.UNKNOWN, request.fingerprint)
        try:
            reply = await sending.reply()
        except GatewayError as failure:
            record = unknown if sending.was_sent else ABSENT
            ending = FirstEnding(record, failure=failure)
        else:
            ending = FirstEnding(self._record(reply, request, unknown), reply)
        finally:
            renewing.cancel()
        await self._settle(request, ending.record, sender)
        return ending

    def _record(
        self, reply: UpstreamResponse, request: KeyedRequest, unknown: KeyRecord
    ) -> KeyRecord:
        """What is to be known of the key after a reply.

        With 4xx and redirects the upstream has made no job. With 5xx it may have failed after that.
        """
        if reply.status >= 500:
            return unknown
        if reply.status >= 300 and reply.status != _SEE_OTHER:
            return ABSENT
        job = self._job_of(reply)
        creation = Creation(
            "" if job is None else job.id, "" if job is None else job.customer_name, reply
        )
        return replace(unknown, state=KeyState.CREATED, sealed=sealed(creation, request))

    async def _renew(self, request: KeyedRequest, sender: bytes) -> None:
        """Keep the lease until cancelled. Where the store fails the key counts as unknown."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await self._store.renew(request.name, request.fingerprint, sender)
            except IdempotencyUnavailable:
                continue

    async def _settle(self, request: KeyedRequest, record: KeyRecord, sender: bytes) -> None:
        """Tell the store, in the background where it fails."""
        try:
            await self._store.settle(request.name, record, sender)
        except IdempotencyUnavailable:
            self._tasks.spawn(self._settle_later(request, record, sender), name="settle")

    async def _settle_later(self, request: KeyedRequest, record: KeyRecord, sender: bytes) -> None:
        for _ in range(SETTLE_ATTEMPTS):
            await asyncio.sleep(SETTLE_GAP_SECONDS)
            try:
                await self._store.settle(request.name, record, sender)
            except IdempotencyUnavailable:
                continue
            return
