from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.ops.metrics.metrics import Metrics
from gateway.ops.metrics.parts import of_waits
from gateway.ops.operators.health import Health
from gateway.ops.operators.vitals import ProcessVitals, vital_routes
from gateway.sync.watch.watcher import WatcherStats
from gateway.upstream.signs import Signs, Trouble
from tests.support.operators import app_of

if TYPE_CHECKING:
    from aiohttp.test_utils import TestClient
    from aiohttp.web import Application, Request
    from pytest_aiohttp.plugin import AiohttpClient

    Client = TestClient[Request, Application]


async def client(
    aiohttp_client: AiohttpClient, *, draining: bool = False, reachable: bool = True
) -> Client:
    signs = Signs()

    async def probe(_: float) -> bool:
        if reachable:
            signs.reached(10.0)
        else:
            signs.failed(7.5, Trouble.UNREACHABLE)
        return reachable

    health = Health(
        clock=lambda: 10.0,
        is_draining=lambda: draining,
        signs=signs,
        probe=probe,
    )
    metrics = Metrics("1", lambda: of_waits(WatcherStats(3, 2, 1, {}), 0))
    return await aiohttp_client(app_of(vital_routes(ProcessVitals(health, metrics))))


@pytest.mark.parametrize(
    ("draining", "reachable", "status", "body"),
    [
        (False, True, 200, {"status": "ready"}),
        (True, True, 503, {"status": "draining"}),
        (False, False, 503, {"status": "upstream unreachable", "seconds": 2.5}),
    ],
)
async def test_ready_answers_with_the_reason_when_no_traffic_should_come(
    aiohttp_client: AiohttpClient,
    draining: bool,
    reachable: bool,
    status: int,
    body: dict[str, object],
) -> None:
    asked = await client(aiohttp_client, draining=draining, reachable=reachable)
    response = await asked.get("/ready")
    assert response.status == status
    assert await response.json() == body
    assert response.headers["Cache-Control"] == "no-store"


async def test_live_answers_200_when_draining_without_an_upstream(
    aiohttp_client: AiohttpClient,
) -> None:
    asked = await client(aiohttp_client, draining=True, reachable=False)
    response = await asked.get("/live")
    assert (response.status, await response.json()) == (200, {"status": "live"})


async def test_metrics_answer_in_the_form_asked_for(aiohttp_client: AiohttpClient) -> None:
    asked = await client(aiohttp_client)
    plain = await asked.get("/metrics")
    assert plain.content_type == "text/plain"
    assert "gateway_build_info" in await plain.text()
    open_metrics = await asked.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert open_metrics.content_type == "application/openmetrics-text"
