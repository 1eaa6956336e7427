"""The order of a request's stages, from its head to the response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from gateway.downstream.exchange import Exchange, Kind
from gateway.errors import Response
from gateway.protocols.http.fields import first, has, value
from gateway.protocols.http.query import split
from gateway.protocols.http.target import origin_form
from gateway.protocols.theeye.cors import is_preflight
from gateway.protocols.theeye.routes import (
    PREFLIGHT,
    CancelRoute,
    CreateRoute,
    PreflightRoute,
    ResultRoute,
    RouteKind,
    classify,
    route_asked_for,
)
from gateway.proxy.checks import is_pending
from gateway.proxy.max_forwards import COUNTED, final_response, max_forwards
from gateway.proxy.refusals import identified, own, reworded
from gateway.proxy.relay import Resumed
from gateway.proxy.websocket import asks_for_websocket
from gateway.sync.wait_parameters import take_rid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.downstream.request import Client
    from gateway.protocols.theeye.routes import Route
    from gateway.proxy.checks import Checks
    from gateway.proxy.forwarding import Forwarding
    from gateway.proxy.relay import Relay
    from gateway.proxy.websocket import WebSocketRelay
    from gateway.sync.create import CreateAndWait
    from gateway.sync.preflight import Preflights
    from gateway.upstream import UpstreamExchange

_RELAY: Final = Kind.RELAY
_WEBSOCKET: Final = Kind.WEBSOCKET
_REFUSED: Final = Kind.REFUSED


class Observer(Protocol):
    """Takes note of every request once it is over."""

    def observe(self, exchange: Exchange) -> None:
        """Take note; must neither wait nor fail."""
        raise NotImplementedError


class Hold(Protocol):
    """Answers requests for results."""

    async def respond(self, exchange: Exchange, route: ResultRoute) -> Response:
        """The response; raises GatewayError where there is none."""
        raise NotImplementedError


class Deletion(Protocol):
    """Answers requests to cancel a job."""

    async def respond(self, exchange: Exchange, route: CancelRoute) -> Response:
        """The response; raises GatewayError where there is none."""
        raise NotImplementedError


class Pipeline:
    """Leads requests through the stages; ``clock`` gives monotonic seconds.

    A request begins with ``begin`` and ends with ``over``. Between them are ``admit``, which does
    what takes no waiting, and unless that refused it ``respond``.
    """

    def __init__(
        self,
        *,
        forwarding: Forwarding,
        checks: Checks,
        relay: Relay,
        websocket: WebSocketRelay,
        create: CreateAndWait,
        hold: Hold,
        deletion: Deletion,
        preflights: Preflights,
        observers: Sequence[Observer],
        clock: Callable[[], float],
        secret_routes: bool,
    ) -> None:
        self._forwarding = forwarding
        self._checks = checks
        self.relay = relay
        self._websocket = websocket
        self._create = create
        self._hold = hold
        self._deletion = deletion
        self._preflights = preflights
        self._observers = [observer.observe for observer in observers]
        self._clock = clock
        self._secret_routes = secret_routes
        self._in_flight: set[Client] = set()
        self.begun = 0
        """Requests so far."""
        self.is_draining = False

    def reconfigure(self, observers: Sequence[Observer], *, secret_routes: bool) -> None:
        """Tell others of ended requests, and serve other routes, from now on."""
        self._observers = [observer.observe for observer in observers]
        self._secret_routes = secret_routes

    def begin(self, client: Client, limit: str = "") -> Exchange:
        """Begin with a request whose head has come; ``limit``: what its connection is over."""
        if self.is_draining or client.method == "CONNECT":
            # What follows a CONNECT is the tunnel's, granted or not.
            client.close_after_response()
        self._in_flight.add(client)
        self.begun += 1
        return Exchange(
            client,
            self._forwarding.request_id(client),
            self._forwarding.client_address(client),
            self._clock(),
            limit=limit,
        )

    def over(self, exchange: Exchange) -> None:
        """End with a request that has its response, or cannot have one any more."""
        self._in_flight.discard(exchange.client)
        if exchange.buffered is not None:
            exchange.buffered.release()
        exchange.finished = self._clock()
        self._checks.settle(exchange)
        for observe in self._observers:
            observe(exchange)

    def drain(self) -> None:
        """Make every response from now on the last on its connection, and close WebSockets."""
        self.is_draining = True
        self._websocket.drain()
        for client in self._in_flight:
            client.close_after_response()

    @property
    def is_idle(self) -> bool:
        """No request is under way."""
        return not self._in_flight

    def cut(self) -> None:
        """Give up all requests under way."""
        for client in self._in_flight:
            client.cut()

    def admit(self, exchange: Exchange) -> None:
        """Lead a request through the stages that come before the upstream, in this order:

        1. framing: one message to every reader, and fields within their bound
        2. target: in origin form
        3. classification: the sync mode's route, whether TheEye looks at the token, the rate; the
           id of its wait
        4. identity: whose token it is; what must not reach the upstream ends here
        5. upgrade: to WebSocket, or none
        6. limits: rate and content; preflights are free
        7. Max-Forwards: 0 ends here
        8. route: a job is created, its result given, the job cancelled, or a preflight of these
           answered, or else it is passed through

        What of 4 and 6 takes waiting is done by ``respond``, before all else.

        Raises:
            GatewayError: it may not go further.
        """
        client, checks = exchange.client, self._checks
        checks.framing(client)
        exchange.target = origin_form(client.method, client.target, client.host)
        path, exchange.query = split(exchange.target)
        match = classify(client.method, path)
        if path.endswith("/result") and (rid := take_rid(exchange, path)):
            self._join(exchange, match.route, rid)
        checks.identify(exchange, match)
        is_websocket = has(client.names, b"upgrade") and _upgrades(client)
        is_counted = client.method in COUNTED
        is_asking = is_counted and _is_preflight(client)
        if not is_asking:
            checks.limit(exchange, RouteKind.OTHER if is_websocket else match.kind)
        if is_websocket:
            exchange.kind = _WEBSOCKET
            return
        if is_counted and max_forwards(client.method, client.fields, client.names) == 0:
            return
        exchange.kind = _RELAY
        route = match.route
        if is_asking:
            if self._is_own(client, path):
                exchange.route = PREFLIGHT
        elif route is not None and self._is_served(route):
            exchange.route = route

    def is_plain(self, exchange: Exchange) -> bool:
        """Tell whether an admitted request waits for nothing but the upstream's response."""
        return (
            exchange.kind is _RELAY
            and exchange.route is None
            and not exchange.client.has_content
            and not is_pending(exchange)
        )

    async def respond(
        self, exchange: Exchange, forwarded: UpstreamExchange | None = None
    ) -> Response | None:
        """Get the response to an admitted request; None where it was written to the client.

        ``forwarded`` is the request as it goes upstream where that was made already; it may have
        been sent.

        Raises:
            GatewayError: there is none.
            ContentCut: it broke off.
        """
        client = exchange.client
        if is_pending(exchange):
            # What is refused now was no request of its kind.
            kind, exchange.kind = exchange.kind, _REFUSED
            await self._checks.finish(exchange)
            exchange.kind = kind
        if exchange.trace is not None:
            exchange.trace.admit()
        if exchange.kind is _WEBSOCKET:
            await self._websocket.relay(exchange)
            return None
        if exchange.kind is _REFUSED:
            final = final_response(client.method, exchange.target, client.fields)
            return identified(exchange, final)
        match exchange.route:
            case ResultRoute() | CancelRoute() as route:
                return await self._result(exchange, route)
            case PreflightRoute():
                return await self._preflights.respond(exchange)
            case CreateRoute() as route:
                created = await self._create.create(exchange, route)
                if isinstance(created, Response):
                    return own(exchange, created) if exchange.job_id else created
                resumed = Resumed(created.prefix, client)
                forwarded = self.relay.forwarded(exchange, resumed)
        await self.relay.relay(exchange, forwarded or self.relay.forwarded(exchange))
        return None

    async def _result(self, exchange: Exchange, route: ResultRoute | CancelRoute) -> Response:
        if isinstance(route, ResultRoute):
            response = await self._held(exchange, route)
        else:
            response = await self._deletion.respond(exchange, route)
        return own(exchange, reworded(exchange, response))

    async def _held(self, exchange: Exchange, route: ResultRoute) -> Response:
        job_id = route.job_id.lower()
        with self._checks.place(exchange, job_id) as place:
            response = await self._hold.respond(exchange, route)
            if value(response.fields, b"location") is not None:
                place.keep(job_id)
            return response

    def _join(self, exchange: Exchange, route: Route | None, rid: str) -> None:
        """Go by the id of the wait that the request says it belongs to."""
        if route is not None and self._is_served(route):
            exchange.rid = rid
            # A proxy's own logs have the id that it gave.
            exchange.request_id = self._forwarding.given_id(exchange.client) or rid

    def _is_own(self, client: Client, path: str) -> bool:
        """Tell whether a preflight is of a request for one of the gateway's own routes."""
        method = first(client.fields, client.names, b"access-control-request-method") or b""
        route = route_asked_for(method.decode("latin-1"), path)
        return route is not None and self._is_served(route)

    def _is_served(self, route: Route) -> bool:
        return self._secret_routes or not route.by_secret


def _is_preflight(client: Client) -> bool:
    return is_preflight(client.method, client.names, has_content=client.has_content)


def _upgrades(client: Client) -> bool:
    """Tell whether a request with ``Upgrade`` is one for WebSocket."""
    if asks_for_websocket(client):
        return True
    # The client may go on in the protocol it asked for.
    client.close_after_response()
    return False
