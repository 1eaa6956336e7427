"""The operators' listener: health, metrics, and an index that names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from gateway.ops.health import Health
    from gateway.ops.metrics import Metrics

_INDEX = """\
/live     200 while the process runs
/ready    200, or 503 with the reason why no traffic should come here
/metrics  for Prometheus
"""
_FIELDS = {"Cache-Control": "no-store"}


class _Status(msgspec.Struct):
    status: str
    seconds: float | msgspec.UnsetType = msgspec.UNSET


def admin_app(health: Health, metrics: Metrics) -> web.Application:
    """What answers on ``admin.host``:``admin.port``."""

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=_INDEX, headers=_FIELDS)

    async def live(_: web.Request) -> web.Response:
        return _answer(200, _Status("live"))

    async def ready(_: web.Request) -> web.Response:
        readiness = await health.readiness()
        if readiness.reason:
            seconds = round(readiness.seconds, 3) or msgspec.UNSET
            return _answer(503, _Status(readiness.reason, seconds))
        return _answer(200, _Status("ready"))

    async def read_metrics(request: web.Request) -> web.Response:
        page, content_type = metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={**_FIELDS, "Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/live", live)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", read_metrics)
    return app


def _answer(status: int, body: _Status) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        headers={**_FIELDS, "Content-Type": "application/json"},
    )
