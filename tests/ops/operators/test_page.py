from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gateway.ops.glances.glance import LISTED_WAITS, Waits
from gateway.ops.operators.page import page_routes
from gateway.ops.page.files import FILES, INDEX, content
from gateway.ops.page.viewers import MOST
from tests.ops.glances.test_together import wait
from tests.support.operators import TOKEN, app_of
from tests.support.sights import Told, glance

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import ClientResponse
    from aiohttp.test_utils import TestClient
    from aiohttp.web import Application, Request
    from pytest_aiohttp.plugin import AiohttpClient

    Client = TestClient[Request, Application]

HTML = {"Accept": "text/html,application/xhtml+xml"}
OF_OPERATORS = ("/waits", "/events", "/", "/page/page.js")


async def event(response: ClientResponse) -> tuple[str, Any]:
    """The next event of a stream."""
    name, data, empty = [await response.content.readline() for _ in range(3)]
    assert empty == b"\n"
    return name[7:-1].decode(), msgspec.json.decode(data[6:])


async def test_browser_gets_the_page_and_everybody_else_the_list(
    aiohttp_client: AiohttpClient,
) -> None:
    asked = await aiohttp_client(app_of(page_routes(Told())))
    page = await asked.get("/", headers=HTML)
    assert page.content_type == "text/html"
    assert await page.read() == content(INDEX)
    listed = await asked.get("/")
    assert listed.content_type == "text/plain"
    text = await listed.text()
    assert all(f"GET {path} " in text for path in ("/waits", "/events", "/page/{name}"))
    assert page.headers["Vary"] == listed.headers["Vary"] == "Accept"


async def test_page_may_run_its_own_files_only_and_asks_for_no_others(
    aiohttp_client: AiohttpClient,
) -> None:
    asked = await aiohttp_client(app_of(page_routes(Told())))
    for path in ("/", *(f"/page/{name}" for name in FILES)):
        response = await asked.get(path, headers=HTML)
        assert response.status == 200
        policy = dict(
            part.strip().split(" ", 1)
            for part in response.headers["Content-Security-Policy"].split(";")
        )
        assert policy.pop("default-src") == "'none'"
        assert policy.pop("require-trusted-types-for") == "'script'"
        assert set(policy.values()) == {"'self'", "'none'"}
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
    page = content(INDEX).decode()
    assert not re.search(r"\son\w+=|<style|style=|<script(?![^>]* src=)", page)
    named = set(re.findall(r'(?:src|href)="([^"]+)"', page))
    imported = {
        f"page/{name}"
        for file in FILES
        if file.endswith(".js")
        for name in re.findall(r'from "\./([^"]+)"', content(file).decode())
    }
    assert named - {"login"} | imported == {f"page/{name}" for name in FILES}
    assert "innerHTML" not in "".join(content(name).decode() for name in FILES)


async def test_files_are_those_of_the_page(aiohttp_client: AiohttpClient) -> None:
    asked = await aiohttp_client(app_of(page_routes(Told())))
    for path in ("/page/index.html", "/page/..%2Ffiles.py", "/page/other.js", "/page/"):
        assert (await asked.get(path)).status == 404


async def test_waits_are_told_as_json_with_their_exact_number(
    aiohttp_client: AiohttpClient,
) -> None:
    rows = [wait(float(number)) for number in range(LISTED_WAITS)]
    sights = Told({1: glance(waits=Waits(1500, rows)), 2: glance(waits=Waits(1, [wait(-1.0)]))})
    asked = await aiohttp_client(app_of(page_routes(sights)))
    listed = await (await asked.get("/waits")).json()
    assert (listed["count"], listed["truncated"]) == (1501, True)
    assert len(listed["waits"]) == LISTED_WAITS
    assert listed["waits"][0]["since"] == -1.0
    sights.seen = {1: glance(waits=Waits(1, [wait(2.0)]))}
    listed = await (await asked.get("/waits")).json()
    assert (listed["count"], listed["truncated"], len(listed["waits"])) == (1, False, 1)


async def test_stream_tells_what_is_to_be_seen_until_the_gateway_drains(
    aiohttp_client: AiohttpClient,
) -> None:
    sights = Told({1: glance(at=5.0)})
    asked = await aiohttp_client(app_of(page_routes(sights)))
    async with asked.get("/events") as response:
        assert response.content_type == "text/event-stream"
        name, shot = await event(response)
        assert (name, shot["at"], shot["is_draining"]) == ("snapshot", 5.0, False)
        sights.draining.set()
        assert (await event(response))[1]["is_draining"]
        assert await response.read() == b""


async def test_rfc_9110_9_3_2_head_of_the_stream_is_all_of_it(
    aiohttp_client: AiohttpClient,
) -> None:
    asked = await aiohttp_client(app_of(page_routes(Told())))
    reader, writer = await asyncio.open_connection(asked.host, asked.port)
    writer.write(b"HEAD /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")
    assert b"event:" not in answer


async def test_viewers_are_bounded_and_one_that_leaves_makes_room(
    aiohttp_client: AiohttpClient,
) -> None:
    sights = Told({1: glance()})
    asked = await aiohttp_client(app_of(page_routes(sights)))
    looking = [await asked.get("/events") for _ in range(MOST)]
    refused = await asked.get("/events")
    assert refused.status == 503
    assert (await refused.json())["code"] == "Overloaded"
    sights.draining.set()
    for response in looking:
        await response.read()
    assert (await asked.get("/events")).status == 200


async def test_viewer_that_takes_nothing_loses_its_place(aiohttp_client: AiohttpClient) -> None:
    large = glance(trouble="x" * 20_000_000)
    sights = Told({1: large})
    asked = await aiohttp_client(app_of(page_routes(sights, write_seconds=0.05)))
    reader, writer = await asyncio.open_connection(asked.host, asked.port, limit=1024)
    writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    with pytest.raises(ConnectionError):
        while True:
            await asyncio.sleep(0.05)
            writer.write(b" ")
            await writer.drain()
    writer.close()


@pytest.mark.parametrize("path", OF_OPERATORS)
async def test_what_the_page_shows_is_for_operators(
    aiohttp_client: AiohttpClient, tmp_path: Path, path: str
) -> None:
    sights = Told({1: glance()})
    sights.draining.set()
    routes = page_routes(sights)
    without = await aiohttp_client(app_of(routes))
    (tmp_path / "token").write_text(TOKEN)
    with_token = await aiohttp_client(app_of(routes, tmp_path / "token"))

    async def status(asked: Client, **fields: str) -> int:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return (await asked.get(path, headers=named)).status

    assert await status(without) == 200
    assert await status(without, Host="rebound.example.test") == 403
    assert await status(without, X_Forwarded_For="192.0.2.1") == 403
    cross_site = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"}
    assert await status(without, **cross_site) == 403
    assert await status(with_token) == 401
    assert await status(with_token, Authorization=f"Bearer {TOKEN}") == 200
    assert await status(with_token, Authorization="Bearer wrong") == 401
    form = await with_token.get(path, headers=HTML)
    assert (form.status, "<form" in await form.text()) == (401, True)
