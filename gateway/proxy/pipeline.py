"""The stages every request passes, in order: observe, admit, identify, route, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway import errors
from gateway.admission.limits.buffers import BUFFERED_BYTES
from gateway.admission.limits.holds import Place
from gateway.downstream.exchange import Exchange, Kind, Outcome
from gateway.errors import BadRequest, MemoryFull, Response, TooManyRequests, UnknownToken
from gateway.protocols.http import framing
from gateway.protocols.http.fields import has, value, without
from gateway.protocols.http.query import query_of
from gateway.protocols.http.target import origin_form
from gateway.protocols.theeye.cors import EXPOSED, carried_fields, is_preflight
from gateway.protocols.theeye.routes import CreateRoute, ResultRoute, RouteKind, classify
from gateway.proxy.cycle import Cycle
from gateway.proxy.max_forwards import final_response, max_forwards
from gateway.proxy.relay import Resumed
from gateway.proxy.websocket import asks_for_websocket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.identity.identities import Identities
    from gateway.config import LimitsConfig
    from gateway.downstream.request import Client
    from gateway.errors import GatewayError
    from gateway.protocols.theeye.routes import Match
    from gateway.proxy.forwarding import Forwarding
    from gateway.proxy.limits import Limits
    from gateway.proxy.relay import Relay
    from gateway.proxy.websocket import WebSocketRelay
    from gateway.sync.create import CreateAndWait
    from gateway.sync.hold import ResultHold
    from gateway.upstream import UpstreamExchange


SHARE = "upstream_share"
"""The limit of a client that has its share of the connections to the upstream."""


class Observer(Protocol):
    """Is told of every request once it is over."""

    def observe(self, exchange: Exchange) -> None:
        """Take note; must neither wait nor fail."""
        raise NotImplementedError


class Pipeline:
    """Answers a client's requests; ``clock`` gives monotonic seconds. Without ``limits`` a client
    may do as much as it likes, within ``sizes``."""

    def __init__(
        self,
        *,
        sizes: LimitsConfig,
        forwarding: Forwarding,
        identities: Identities,
        limits: Limits | None,
        relay: Relay,
        websocket: WebSocketRelay,
        create: CreateAndWait,
        hold: ResultHold,
        observers: Sequence[Observer],
        clock: Callable[[], float],
        secret_routes: bool,
    ) -> None:
        self._sizes = sizes
        self._limits = limits
        self._forwarding = forwarding
        self._identities = identities
        self.relay = relay
        self._websocket = websocket
        self._create = create
        self._hold = hold
        self._observers = [observer.observe for observer in observers]
        self._clock = clock
        self._secret_routes = secret_routes
        self._in_flight: set[Client] = set()
        self.begun = 0
        """Requests so far."""
        self.is_draining = False

    def accept(self, client: Client, refusal: GatewayError | None = None, limit: str = "") -> Cycle:
        """Begin with a request whose head has come.

        ``refusal``: why it cannot be passed on; ``limit``: what its connection is over.
        """
        exchange = Exchange(
            client,
            self._forwarding.request_id(client),
            self._forwarding.client_address(client),
            self._clock(),
            limit=limit,
        )
        if self.is_draining or refusal is not None or client.method == "CONNECT":
            # What follows a CONNECT is the tunnel's, granted or not.
            client.close_after_response()
        self._in_flight.add(client)
        self.begun += 1
        return Cycle(self, exchange, refusal)

    def over(self, exchange: Exchange) -> None:
        """The request was answered, or cannot be any more."""
        self._in_flight.discard(exchange.client)
        if exchange.buffered is not None:
            exchange.buffered.release()
        exchange.finished = self._clock()
        if self._limits is not None:
            self._limits.settle(exchange)
        for observe in self._observers:
            observe(exchange)

    def drain(self) -> None:
        """From now on every answer is the last on its connection."""
        self.is_draining = True
        for client in self._in_flight:
            client.close_after_response()

    @property
    def is_idle(self) -> bool:
        """No request is being answered."""
        return not self._in_flight

    def cut(self) -> None:
        """Give up what is still being answered."""
        for client in self._in_flight:
            client.cut()

    def admit(self, exchange: Exchange) -> None:
        """Check the request and note what it is; raises GatewayError where it may not pass."""
        client = exchange.client
        try:
            framing.check(
                client.fields,
                client.names,
                version=client.version,
                fields_bytes=self._sizes.fields_bytes,
            )
        except BadRequest:
            # Where it ends is in doubt, and so is what comes next.
            client.close_after_response()
            raise
        exchange.target = origin_form(client.method, client.target, client.host)
        path = exchange.target.partition("?")[0]
        exchange.query = query_of(exchange.target)
        matched = classify(client.method, path)
        self._identify(exchange, matched)
        is_websocket = False
        if has(client.names, b"upgrade"):
            is_websocket = asks_for_websocket(client)
            if not is_websocket:
                # The client may go on in the protocol it asked for.
                client.close_after_response()
        is_free = is_preflight(client.method, client.names, has_content=client.has_content)
        if self._limits is not None and not is_free:
            exchange.limited = RouteKind.OTHER if is_websocket else matched.kind
            if not exchange.awaits_keys:
                self._limits.admit(exchange, exchange.query)
        if is_websocket:
            exchange.kind = Kind.WEBSOCKET
            return
        if max_forwards(client.method, client.fields, client.names) == 0:
            return
        exchange.kind = Kind.RELAY
        route = matched.route
        if route is not None and (self._secret_routes or not route.by_secret):
            exchange.route = route

    def _identify(self, exchange: Exchange, matched: Match) -> None:
        client, identities = exchange.client, self._identities
        if not matched.needs_token:
            # Anybody can write any token there.
            exchange.identity = identities.anonymous(exchange.address)
            return
        identity = identities.identify(
            exchange.query, client.fields, client.names, exchange.address
        )
        if identity is None:
            exchange.awaits_keys = True
        else:
            exchange.identity = identity
            identities.check(identity)
            if not identity.is_verified and not matched.proves_token:
                # No answer can be taken for a proof of the token.
                exchange.identity = identities.anonymous(exchange.address)

    async def _admit_later(self, exchange: Exchange) -> None:
        """What of it has to be waited for: keys to judge the token by, what the token's first
        request tells, a shared budget."""
        client, identities, limits = exchange.client, self._identities, self._limits
        kind, exchange.kind = exchange.kind, Kind.REFUSED
        if exchange.awaits_keys:
            query = exchange.query
            identity = await identities.identify_by_keys(query, client.fields, client.names)
            exchange.identity = identity
            identities.check(identity)
            if limits is not None:
                limits.admit(exchange, query)
        if limits is not None:
            if exchange.awaited_trial is not None:
                await self._admit_after_trial(exchange, limits)
            if exchange.claim is not None:
                await limits.decide(exchange, exchange.claim)
        exchange.kind = kind

    async def _admit_after_trial(self, exchange: Exchange, limits: Limits) -> None:
        """Wait for what another request tells of the token; where that is nothing, for the next."""
        query, began = exchange.query, self._clock()
        while (trial := exchange.awaited_trial) is not None:
            exchange.awaited_trial = None
            may_wait = await trial.ended(self._clock() - began)
            self._identities.check(exchange.identity)
            limits.admit(exchange, query, may_wait=may_wait)

    async def answer(
        self, exchange: Exchange, forwarded: UpstreamExchange | None
    ) -> Response | None:
        """The answer; None where it was written already."""
        client = exchange.client
        if _is_admitted_later(exchange):
            await self._admit_later(exchange)
        if exchange.kind is Kind.WEBSOCKET:
            await self._websocket.relay(exchange)
            return None
        if exchange.kind is Kind.REFUSED:
            # It may go no further.
            return final_response(client.method, exchange.target, client.fields)
        match exchange.route:
            case ResultRoute() as route:
                job_id = route.job_id.lower()
                with self._place(exchange, job_id) as place:
                    response = await self._hold.answer(exchange, route)
                    if value(response.fields, b"location") is not None:
                        place.keep(job_id)
                    return response
            case CreateRoute() as route:
                created = await self._create.create(exchange, route)
                if isinstance(created, Response):
                    return created
                resumed = Resumed(created.prefix, client)
                forwarded = self.relay.forwarded(exchange, resumed)
        await self.relay.relay(exchange, forwarded or self.relay.forwarded(exchange))
        return None

    def _place(self, exchange: Exchange, job_id: str) -> Place:
        return Place() if self._limits is None else self._limits.place(exchange, job_id)

    def failure(self, exchange: Exchange, failure: GatewayError) -> Response:
        """What the client is told of a failure."""
        if isinstance(failure, TooManyRequests) and not exchange.limit:
            exchange.limit = SHARE
        exchange.reason = failure.code
        is_refused = failure.status < 500 or failure.status == 503
        exchange.outcome = Outcome.REFUSED if is_refused else Outcome.FAILED
        if isinstance(failure, MemoryFull):
            exchange.limit = BUFFERED_BYTES
        response = errors.answer(failure, exchange.request_id)
        origin = value(exchange.client.fields, b"origin")
        first = carried_fields(origin, response.fields)
        if not isinstance(failure, UnknownToken):
            first = (*first, EXPOSED)
        fields = (*first, *without(response.fields, b"server"))
        return Response(response.status, response.content, fields, response.reason)


def _is_admitted_later(exchange: Exchange) -> bool:
    return exchange.awaits_keys or exchange.claim is not None or exchange.awaited_trial is not None
