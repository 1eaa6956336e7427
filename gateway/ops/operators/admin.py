"""The operators' listener: health, metrics, and an index that names them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec
from aiohttp import web

from gateway.downstream.listening.acceptor import Acceptor
from gateway.downstream.listening.places import Places
from gateway.downstream.listening.sockets import bound, url_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from socket import socket

    from gateway.config import AdminConfig
    from gateway.ops.metrics.metrics import Metrics
    from gateway.ops.operators.health import Health, Readiness

_INDEX = """\
/live     200 while the process runs, and all its workers do
/ready    200, or 503 with the reason why no traffic should come here
/metrics  for Prometheus
"""
_FIELDS = {"Cache-Control": "no-store"}
CLOSE_SECONDS = 1.0
CONNECTIONS = 16
"""The most of operators at once; others wait. Descriptors are kept for so many."""


class Vitals(Protocol):
    """What operators ask for."""

    async def liveness(self) -> str:
        """Why it does not live as it should, empty if it does."""
        raise NotImplementedError

    async def readiness(self) -> Readiness:
        """Whether traffic should come here."""
        raise NotImplementedError

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the form that ``Accept`` asks for."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ProcessVitals:
    """Those of this process, which lives as long as it answers."""

    health: Health
    counted: Metrics

    async def liveness(self) -> str:
        return ""

    async def readiness(self) -> Readiness:
        return await self.health.readiness()

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        return self.counted.render(accept)


class _Status(msgspec.Struct):
    status: str
    seconds: float | msgspec.UnsetType = msgspec.UNSET


def admin_app(vitals: Vitals) -> web.Application:
    """What answers on ``admin.host``:``admin.port``."""

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=_INDEX, headers=_FIELDS)

    async def live(_: web.Request) -> web.Response:
        reason = await vitals.liveness()
        return _answer(503, _Status(reason)) if reason else _answer(200, _Status("live"))

    async def ready(_: web.Request) -> web.Response:
        readiness = await vitals.readiness()
        if readiness.reason:
            seconds = round(readiness.seconds, 3) or msgspec.UNSET
            return _answer(503, _Status(readiness.reason, seconds))
        return _answer(200, _Status("ready"))

    async def read_metrics(request: web.Request) -> web.Response:
        page, content_type = await vitals.metrics(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={**_FIELDS, "Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/live", live)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", read_metrics)
    return app


@asynccontextmanager
async def admin_listening(
    vitals: Vitals, admin: AdminConfig, inherited: Sequence[socket] = ()
) -> AsyncIterator[str]:
    """Within the block, operators are answered at the URL that it gives: on ``inherited`` sockets
    if there are any, else where ``admin`` says.

    Raises:
        OSError: the address cannot be had.
    """
    runner = web.AppRunner(admin_app(vitals), access_log=None, shutdown_timeout=CLOSE_SECONDS)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        server = runner.server
        assert server is not None
        sockets = inherited or await bound(admin.host, admin.port)
        url = url_of(sockets[0].getsockname())
        acceptor = Acceptor(
            sockets, server, Places(CONNECTIONS), count=lambda: len(server.connections)
        )
        stack.push_async_callback(acceptor.aclose)
        acceptor.start()
        yield url


def _answer(status: int, body: _Status) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        headers={**_FIELDS, "Content-Type": "application/json"},
    )
