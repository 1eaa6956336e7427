"""The stages that may refuse a request before anything of it goes upstream.

``Pipeline.admit`` calls them in their order. What of them takes waiting, for keys, for what another
request tells of the token, or for a budget in Redis, is left to ``finish``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.admission.limits.admission import Admission
from gateway.admission.limits.holds import Place
from gateway.downstream.exchange import Outcome
from gateway.errors import BadRequest
from gateway.protocols.http import framing

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.identity.identities import Identities
    from gateway.downstream.exchange import Exchange
    from gateway.downstream.request import Client
    from gateway.protocols.theeye.routes import Match, RouteKind
    from gateway.proxy.limits import Limits

_DRAINED: Final = Outcome.DRAINED


class Checks:
    """Applies what the parts decide to the exchange and its client; ``clock`` gives monotonic
    seconds. Without ``limits`` a client may do as much as it likes."""

    def __init__(
        self,
        fields_bytes: int,
        identities: Identities,
        limits: Limits | None,
        clock: Callable[[], float],
    ) -> None:
        self._fields_bytes = fields_bytes
        self._identities = identities
        self._limits = limits
        self._is_limiting = limits is not None
        self._clock = clock

    def reconfigure(self, fields_bytes: int, *, is_limiting: bool) -> None:
        """Have another bound, and limit requests that come from now on, or none of them."""
        self._fields_bytes = fields_bytes
        self._is_limiting = is_limiting

    def framing(self, client: Client) -> None:
        """Refuse what two parties could read differently (``framing.check``).

        Raises:
            BadRequest, FieldsTooLarge
        """
        try:
            framing.check(
                client.fields,
                client.names,
                version=client.version,
                fields_bytes=self._fields_bytes,
            )
        except BadRequest:
            # Where it ends is in doubt, and so is what comes next.
            client.close_after_response()
            raise

    def identify(self, exchange: Exchange, match: Match) -> None:
        """Find out who asks, or that keys have to be fetched for that (``awaits_keys``).

        Raises:
            UnknownToken, Unauthorized: its token must not reach the upstream.
        """
        identities = self._identities
        if not match.needs_token:
            # Anybody can write any token there.
            exchange.identity = identities.anonymous(exchange.address)
            return
        client = exchange.client
        identity = identities.identify(
            exchange.query, client.fields, client.names, exchange.address
        )
        if identity is None:
            exchange.awaits_keys = True
            return
        exchange.identity = identity
        identities.check(identity)
        if not identity.is_verified and not match.proves_token:
            # No response can be taken for a proof of the token.
            exchange.identity = identities.anonymous(exchange.address)

    def limit(self, exchange: Exchange, kind: RouteKind) -> None:
        """Hold a request of a kind to its client's limits, as far as that can be told at once.

        Raises:
            TooManyRequests: the client has none left.
            ContentTooLarge: its content is known to be too large.
        """
        if self._limits is None or not self._is_limiting:
            return
        client = exchange.client
        exchange.admission = admission = Admission(
            kind,
            exchange.query,
            exchange.address,
            exchange.started,
            has_content=client.has_content,
            content_length=client.content_length if client.has_content else None,
        )
        if not exchange.awaits_keys:
            self._limits.admit(admission, exchange.identity)
            self._heed(exchange, admission, self._limits)

    async def finish(self, exchange: Exchange) -> None:
        """Await what is left: keys to judge the token by, what the token's first request tells, a
        budget in Redis. Raises as ``identify`` and ``limit``, and KeysUnavailable."""
        client, identities = exchange.client, self._identities
        limits, admission = self._limits, exchange.admission
        if exchange.awaits_keys:
            identity = await identities.identify_by_keys(
                exchange.query, client.fields, client.names
            )
            exchange.identity = identity
            identities.check(identity)
            if limits is not None and admission is not None:
                limits.admit(admission, identity)
                self._heed(exchange, admission, limits)
        if limits is not None and admission is not None:
            await self._admit_after_trial(exchange, admission, limits)
            if admission.claim is not None:
                await limits.decide(admission, admission.claim)
                self._heed(exchange, admission, limits)

    def place(self, exchange: Exchange, job_id: str = "") -> Place:
        """Give a place to a request that may wait for a job; without ``job_id`` that is still to be
        created.

        Raises:
            TooManyRequests, Overloaded: there is none.
        """
        limits, admission = self._limits, exchange.admission
        if limits is None or admission is None:
            return Place()
        try:
            return limits.place(admission, exchange.identity, job_id)
        finally:
            exchange.limit = admission.limit or exchange.limit

    def settle(self, exchange: Exchange) -> None:
        """Charge what can be charged only now that the request is over."""
        limits, admission = self._limits, exchange.admission
        if limits is None or admission is None:
            return
        limit = limits.settle(
            admission,
            exchange.finished,
            held_seconds=exchange.held_seconds,
            was_drained=exchange.outcome is _DRAINED,
            bytes_received=exchange.client.bytes_received,
        )
        if limit:
            exchange.limit = limit

    async def _admit_after_trial(
        self, exchange: Exchange, admission: Admission, limits: Limits
    ) -> None:
        """Wait for what another request tells of the token; where that is nothing, for the next."""
        began = self._clock()
        while (trial := admission.awaited_trial) is not None:
            may_wait = await trial.ended(self._clock() - began)
            self._identities.check(exchange.identity)
            limits.admit(admission, exchange.identity, may_wait=may_wait)
            self._heed(exchange, admission, limits)

    def _heed(self, exchange: Exchange, admission: Admission, limits: Limits) -> None:
        client = exchange.client
        client.added = admission.fields
        if admission.limit:
            exchange.limit = admission.limit
        if admission.refusal is not None:
            raise admission.refusal
        if admission.content_bytes is not None and limits.is_enforced:
            client.content_bytes = admission.content_bytes


def is_pending(exchange: Exchange) -> bool:
    """Tell whether ``finish`` has something to do."""
    admission = exchange.admission
    return exchange.awaits_keys or (admission is not None and admission.is_pending)
