from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.operators import app_of, route

if TYPE_CHECKING:
    from pytest_aiohttp.plugin import AiohttpClient


async def test_index_names_every_route(aiohttp_client: AiohttpClient) -> None:
    asked = await aiohttp_client(app_of([route("GET", "/config"), route("POST", "/drain")]))
    response = await asked.get("/")
    lines = (await response.text()).splitlines()
    assert lines[0] == "GET /config   answers /config"
    assert [line.split()[:2] for line in lines] == [
        ["GET", "/config"],
        ["POST", "/drain"],
        ["GET", "/login"],
        ["POST", "/login"],
        ["POST", "/logout"],
    ]


async def test_index_gives_way_to_a_page(aiohttp_client: AiohttpClient) -> None:
    asked = await aiohttp_client(app_of([route("GET", "/")]))
    assert await (await asked.get("/")).json() == "/"


async def test_what_operators_are_told_is_kept_by_nobody(aiohttp_client: AiohttpClient) -> None:
    asked = await aiohttp_client(app_of([route("GET", "/config")]))
    for path in ("/", "/config", "/elsewhere", "/login"):
        fields = (await asked.get(path, allow_redirects=False)).headers
        assert fields["Cache-Control"] == "no-store"
        assert fields["X-Content-Type-Options"] == "nosniff"
