"""The stages every request passes, in order: observe, admit, identify, route, answer."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gateway import errors
from gateway.admission import message
from gateway.cross_origin import cross_origin_fields
from gateway.errors import Answer, ClientGone, ContentCut, GatewayError
from gateway.exchange import Exchange, Kind, Outcome
from gateway.fields import value
from gateway.proxy.relay import Resumed
from gateway.proxy.websocket import asks_for_websocket
from gateway.routes import ResultRoute, origin_form, route, takes_token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.identity import Identities
    from gateway.config import LimitsConfig
    from gateway.downstream import Client
    from gateway.forwarding import Forwarding
    from gateway.proxy.relay import Relay
    from gateway.proxy.websocket import WebSocketRelay
    from gateway.sync.create import CreateAndWait
    from gateway.sync.hold import ResultHold

_log = logging.getLogger(__name__)


class Observer(Protocol):
    """Is told of every request once it is over."""

    def observe(self, exchange: Exchange) -> None:
        """Take note; must neither wait nor fail."""
        raise NotImplementedError


class Pipeline:
    """Answers a client's requests; ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        *,
        limits: LimitsConfig,
        forwarding: Forwarding,
        identities: Identities,
        relay: Relay,
        websocket: WebSocketRelay,
        create: CreateAndWait,
        hold: ResultHold,
        observers: Sequence[Observer],
        clock: Callable[[], float],
        secret_routes: bool,
    ) -> None:
        self._limits = limits
        self._forwarding = forwarding
        self._identities = identities
        self._relay = relay
        self._websocket = websocket
        self._create = create
        self._hold = hold
        self._observers = [observer.observe for observer in observers]
        self._clock = clock
        self._secret_routes = secret_routes
        self._in_flight: set[Client] = set()
        self._idle = asyncio.Event()
        self.is_draining = False

    async def handle(self, client: Client, refusal: GatewayError | None = None) -> bool:
        """One request, from its head to the last byte of its answer; whether another may follow.

        ``refusal``: why it is none that could be passed on.
        """
        exchange = Exchange(
            client,
            self._forwarding.request_id(client),
            self._forwarding.client_address(client),
            self._clock(),
        )
        if self.is_draining or refusal is not None:
            client.close_after_answer()
        self._in_flight.add(client)
        try:
            await self._send(exchange, refusal)
        except ClientGone:
            exchange.outcome = Outcome.CLIENT_CLOSED
            client.cut()
        except ContentCut as cut:
            exchange.outcome = Outcome.CUT
            _log.warning("request %s: answer cut: %s", exchange.request_id, cut)
            client.cut()
        except asyncio.CancelledError:
            exchange.outcome = Outcome.CUT if client.is_cut else Outcome.CLIENT_CLOSED
            raise
        except Exception:
            _log.exception("request %s: answer failed", exchange.request_id)
            exchange.outcome = Outcome.CUT
            client.cut()
        finally:
            self._in_flight.discard(client)
            if self.is_draining and not self._in_flight:
                self._idle.set()
            exchange.finished = self._clock()
            for observe in self._observers:
                observe(exchange)
        return client.keeps_connection

    def drain(self) -> None:
        """From now on every answer is the last on its connection."""
        self.is_draining = True
        for client in self._in_flight:
            client.close_after_answer()
        if not self._in_flight:
            self._idle.set()

    async def until_idle(self) -> None:
        """After ``drain``: wait until no request is being answered."""
        await self._idle.wait()

    def cut(self) -> None:
        """Give up what is still being answered."""
        for client in self._in_flight:
            client.cut()

    async def _send(self, exchange: Exchange, refusal: GatewayError | None) -> None:
        """Pass the request on and answer it, unless that was done on the way."""
        client = exchange.client
        try:
            if refusal is not None:
                raise refusal
            answer = await self._pass(exchange)
        except GatewayError as failure:
            answer = self._failure(exchange, failure)
        except ContentCut:
            raise
        except Exception:
            _log.exception("request %s failed", exchange.request_id)
            answer = self._failure(exchange, GatewayError())
        if answer is not None:
            if client.started:
                raise ContentCut("the request failed after its answer had begun")
            exchange.status = answer.status
            await client.send(answer)

    def _failure(self, exchange: Exchange, failure: GatewayError) -> Answer:
        answer = errors.answer(failure, exchange.request_id)
        origin = value(exchange.client.fields, b"origin")
        return answer.with_fields(*cross_origin_fields(origin))

    async def _pass(self, exchange: Exchange) -> Answer | None:
        """The answer; None where it was written already."""
        client = exchange.client
        self._admit(exchange)
        path, _, query = exchange.target.partition("?")
        await self._identify(exchange, path, query)
        if b"upgrade" in client.names:
            if asks_for_websocket(client):
                exchange.kind = Kind.WEBSOCKET
                await self._websocket.relay(exchange)
                return None
            # The client may go on in the protocol it asked for.
            client.close_after_answer()
        exchange.kind = Kind.RELAY
        matched = route(client.method, path)
        if matched is None or (matched.by_secret and not self._secret_routes):
            await self._relay.relay(exchange)
            return None
        if isinstance(matched, ResultRoute):
            return await self._hold.answer(exchange, matched)
        created = await self._create.create(exchange, matched)
        if isinstance(created, Answer):
            return created
        await self._relay.relay(exchange, Resumed(created.prefix, client))
        return None

    async def _identify(self, exchange: Exchange, path: str, query: str) -> None:
        client, identities = exchange.client, self._identities
        needs_token = takes_token(client.method, path)
        exchange.identity = identity = await identities.identify(
            query, client.fields, client.names, exchange.address, needs_token=needs_token
        )
        if needs_token and not identity.is_anonymous:
            identities.check(identity)
            exchange.upstream_answered = partial(identities.answered, identity)

    def _admit(self, exchange: Exchange) -> None:
        client, limits = exchange.client, self._limits
        message.check(
            client.fields,
            client.names,
            version=client.version,
            fields_bytes=limits.fields_bytes,
        )
        exchange.target = origin_form(client.method, client.target, client.host)
