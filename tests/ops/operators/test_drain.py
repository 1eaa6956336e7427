from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.ops.operators.drain import drain_route
from tests.support.operators import app_of

if TYPE_CHECKING:
    from pytest_aiohttp.plugin import AiohttpClient


async def test_drain_is_answered_and_begun_once(aiohttp_client: AiohttpClient) -> None:
    begun: list[str] = []
    asked = await aiohttp_client(app_of([drain_route(lambda: begun.append("drain"))]))
    for _ in range(2):
        response = await asked.post("/drain")
        assert (response.status, await response.json()) == (202, {"status": "draining"})
    assert begun == ["drain"]


async def test_reading_drains_nothing(aiohttp_client: AiohttpClient) -> None:
    begun: list[str] = []
    asked = await aiohttp_client(app_of([drain_route(lambda: begun.append("drain"))]))
    for method in ("GET", "HEAD", "PUT"):
        response = await asked.request(method, "/drain")
        assert (response.status, response.headers["Allow"]) == (405, "POST")
    assert begun == []
