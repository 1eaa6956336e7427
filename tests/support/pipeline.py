"""The stages of a request, joined as in a gateway, with single ones as a test gives them."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from gateway.admission.identity.identities import Identities
from gateway.admission.limits.buffers import Buffers
from gateway.config import IdentityConfig, LimitsConfig, ListenConfig, SyncConfig, UpstreamConfig
from gateway.downstream.listener import ClientListener
from gateway.downstream.listening.places import Places
from gateway.downstream.listening.sockets import url_of
from gateway.errors import BadGateway, Response
from gateway.proxy.checks import Checks
from gateway.proxy.cycle import cycles_on
from gateway.proxy.forwarding import Forwarding
from gateway.proxy.pipeline import Pipeline
from gateway.proxy.relay import Relay
from gateway.proxy.websocket import WebSocketRelay
from gateway.sync.create import CreateAndWait
from gateway.sync.jobs.creation import Creator
from gateway.sync.preflight import Preflights
from gateway.upstream import Upstream
from tests.support.theeye import created_hold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from gateway.downstream.exchange import Exchange
    from gateway.protocols.theeye.routes import CancelRoute, ResultRoute
    from gateway.proxy.pipeline import Hold, Observer

NOWHERE = "http://127.0.0.1:9"
"""No upstream listens there."""


class Record:
    """Keeps the requests that are over."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def observe(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)


class Unheld:
    """Has no result of any job."""

    async def respond(self, exchange: Exchange, route: ResultRoute) -> Response:
        raise BadGateway(f"no result of {route.job_id} for {exchange.request_id}")


class Undeleted:
    """Cancels no job."""

    async def respond(self, exchange: Exchange, route: CancelRoute) -> Response:
        raise BadGateway(f"{route.job_id} is not cancelled for {exchange.request_id}")


@contextmanager
def pipeline_before(
    upstream_url: str,
    observer: Observer,
    *,
    hold: Hold | None = None,
) -> Iterator[Pipeline]:
    """A pipeline without limits; ``hold`` answers requests for results."""
    upstream = Upstream(UpstreamConfig(url=upstream_url), time.monotonic)
    forwarding = Forwarding((), upstream.host, preserve_host=False)
    identities = Identities(IdentityConfig(), None, time.monotonic, time.monotonic, 5.0)
    limits, sync = LimitsConfig(), SyncConfig()
    buffers = Buffers(limits.buffered_bytes, limits.result_bytes)
    checks = Checks(limits.fields_bytes, identities, None, time.monotonic)

    relay = Relay(upstream, forwarding, identities)
    yield Pipeline(
        forwarding=forwarding,
        checks=checks,
        relay=relay,
        websocket=WebSocketRelay(upstream, forwarding, identities, 5.0),
        create=CreateAndWait(
            Creator(upstream, forwarding.outbound, buffers, limits.result_bytes),
            identities.answered,
            place=checks.place,
            hold=created_hold(upstream, sync, buffers),
            config=sync,
            limits=limits,
        ),
        hold=hold or Unheld(),
        deletion=Undeleted(),
        preflights=Preflights(relay.forwarded),
        observers=[observer],
        clock=time.monotonic,
        secret_routes=True,
    )
    upstream.close()


@asynccontextmanager
async def listening(pipeline: Pipeline, idle_seconds: float = 5.0) -> AsyncIterator[str]:
    """Where clients of a pipeline connect to."""
    accept, listen = cycles_on(pipeline), ListenConfig(idle_seconds=idle_seconds)
    listener = ClientListener(accept, listen, LimitsConfig(), None, Places(100), spare_seconds=5.0)
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
    async with server:
        yield url_of(server.sockets[0].getsockname())
        await listener.shutdown(1.0)
