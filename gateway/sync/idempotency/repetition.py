"""The reply to a repetition: that of the first request, to whom it may still be given.

The upstream is asked for the job first, with the repeater's own token, unless the first request was
a moment ago: a token that has been revoked gets the upstream's 401, and a job that is gone is no
reason to make another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gateway.errors import (
    JSON_CONTENT,
    BadGateway,
    Field,
    IdempotencyGone,
    IdempotencyUnknown,
    ResponseTooLarge,
)
from gateway.protocols.http.fields import value, without
from gateway.sync.jobs.access import NO_CUSTOMER, JobAccess, credentials, secret_access
from gateway.sync.jobs.reader import Failing, Found, Refused
from gateway.sync.keys.state import NOBODY_KNOWS
from gateway.upstream.messages.messages import UpstreamResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.admission.identity.identities import Identity
    from gateway.downstream.exchange import Exchange
    from gateway.protocols.theeye.job import Job
    from gateway.protocols.theeye.routes import CreateRoute
    from gateway.sync.idempotency.sealing import Creation
    from gateway.sync.jobs.reader import Read

    ReadJob = Callable[[JobAccess, Identity], Awaitable[Read]]

_ALLOW_ORIGIN: Final = b"access-control-allow-origin"
_NO_SESSION: Final = 401


class Repetitions:
    """``read`` gives a job as this client may read it, or as it was kept for it; ``job_of`` the job
    in a reply, None where there is none. A reply that came less than ``fresh_seconds`` ago is given
    without a read."""

    def __init__(
        self,
        read: ReadJob,
        job_of: Callable[[UpstreamResponse], Job | None],
        fresh_seconds: float,
    ) -> None:
        self._read = read
        self._job_of = job_of
        self._fresh_seconds = fresh_seconds

    async def reply(
        self, exchange: Exchange, route: CreateRoute, creation: Creation, age_seconds: float
    ) -> UpstreamResponse:
        """The reply that told of the job, the job as it stands where that reply is not for this
        client, or what the upstream says of its token.

        Raises:
            IdempotencyGone: the job is gone, and so is its result.
            IdempotencyUnknown: all that is known is that there was a reply.
            BadGateway: the upstream does not say whether there is such a job.
            MemoryFull, Overloaded: as reading the job raises.
        """
        given = creation.reply
        if given is not None and age_seconds < self._fresh_seconds:
            return _again(given, exchange)
        access = self._access(exchange, route, creation)
        if access is None:
            if given is None:
                raise IdempotencyUnknown(NOBODY_KNOWS)
            return _again(given, exchange)
        access.heard.trace = exchange.trace
        try:
            read = await self._read(access, exchange.identity)
        except ResponseTooLarge:
            if given is None:
                raise
            return _again(given, exchange)
        finally:
            heard = access.heard
            exchange.upstream_status, exchange.upstream_seconds = heard.status, heard.seconds
        return _judged(read, given, exchange)

    def _access(
        self, exchange: Exchange, route: CreateRoute, creation: Creation
    ) -> JobAccess | None:
        """How this client can read the job; None where it cannot."""
        fields = exchange.client.fields
        if route.by_secret:
            job = None if creation.reply is None else self._job_of(creation.reply)
            if job is None or not job.secret:
                return None
            return secret_access(job.id, job.secret, fields, exchange.identity)
        if not creation.job_id:
            return None
        return JobAccess(
            creation.job_id,
            creation.customer or exchange.identity.customer or NO_CUSTOMER,
            credentials(exchange.query, fields),
            value(fields, b"origin"),
            workflow_id=route.workflow_id,
            client=exchange.identity.key,
        )


def _judged(read: Read, given: UpstreamResponse | None, exchange: Exchange) -> UpstreamResponse:
    match read:
        case Refused(is_gone=True):
            raise IdempotencyGone(
                "The job of this Idempotency-Key is gone, and so is its result; another key makes"
                " another job"
            )
        case Refused(response=said) if given is None or said.status == _NO_SESSION:
            return UpstreamResponse(said.status, said.reason, said.fields, said.content)
        case Failing():
            raise BadGateway("The upstream does not tell of the job that this key has made")
        case Found() if given is None:
            return _as_it_stands(read)
        case _:
            assert given is not None, "nothing else is said of a job that is read by token"
            return _again(given, exchange)


def _again(reply: UpstreamResponse, exchange: Exchange) -> UpstreamResponse:
    """The reply as it came, but that the origin of this request may read it."""
    if value(reply.fields, _ALLOW_ORIGIN) is None:
        return reply
    origin = value(exchange.client.fields, b"origin") or b"*"
    fields: Sequence[Field] = [
        (name, origin) if name.lower() == _ALLOW_ORIGIN else (name, content)
        for name, content in reply.fields
    ]
    return replace(reply, fields=fields)


def _as_it_stands(found: Found) -> UpstreamResponse:
    content = found.job.raw
    own = without(found.fields, b"content-type", b"content-length")
    length = (b"Content-Length", b"%d" % len(content))
    return UpstreamResponse(200, b"OK", (*own, JSON_CONTENT, length), content)
