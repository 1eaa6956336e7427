from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.ops.access.sessions import SESSION_SECONDS
from gateway.ops.operators.login import COOKIE, FORM_TYPE
from gateway.protocols.theeye.redaction import redacted_text
from tests.support.operators import TOKEN, app_of, route

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import ClientResponse
    from pytest_aiohttp.plugin import AiohttpClient

ROUTES = [route("GET", "/"), route("POST", "/drain")]
BROWSER = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


def session(response: ClientResponse) -> dict[str, str]:
    """The field that a browser sends from then on."""
    return {"Cookie": f"{COOKIE}={response.cookies[COOKIE].value}"}


async def test_browser_gets_a_form_and_with_the_token_a_session(
    aiohttp_client: AiohttpClient, token_file: Path
) -> None:
    now = 100.0
    asked = await aiohttp_client(app_of(ROUTES, token_file, lambda: now))
    refused = await asked.get("/", headers=BROWSER)
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
    assert refused.content_type == "text/html"
    assert 'type="password"' in await refused.text()
    assert "default-src 'none'" in refused.headers["Content-Security-Policy"]
    begun = await asked.post("/login", data={"token": f" {TOKEN}\n"}, allow_redirects=False)
    assert (begun.status, begun.headers["Location"]) == (303, "/")
    cookie = begun.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
    assert int(cookie["max-age"]) == SESSION_SECONDS
    assert TOKEN not in cookie.value
    assert (await asked.get("/", headers=session(begun))).status == 200
    assert (await asked.post("/drain", headers=session(begun))).status == 200
    now += SESSION_SECONDS
    assert (await asked.get("/", headers=session(begun))).status == 401


async def test_session_that_is_ended_is_over(
    aiohttp_client: AiohttpClient, token_file: Path
) -> None:
    asked = await aiohttp_client(app_of(ROUTES, token_file))
    begun = await asked.post("/login", data={"token": TOKEN}, allow_redirects=False)
    ended = await asked.post("/logout", headers=session(begun), allow_redirects=False)
    assert (ended.status, ended.headers["Location"]) == (303, "/login")
    assert (await asked.get("/", headers=session(begun))).status == 401


@pytest.mark.parametrize(
    "form",
    [{"token": TOKEN[:-1]}, {"token": ""}, {}, [("token", TOKEN), ("token", TOKEN)]],
)
async def test_form_without_the_token_begins_no_session(
    aiohttp_client: AiohttpClient, token_file: Path, form: dict[str, str]
) -> None:
    asked = await aiohttp_client(app_of(ROUTES, token_file))
    fields = {"Content-Type": FORM_TYPE, **BROWSER}
    refused = await asked.post("/login", data=form, headers=fields, allow_redirects=False)
    assert refused.status == 401
    assert not refused.cookies
    assert "<form" in await refused.text()


async def test_form_of_another_type_is_refused(
    aiohttp_client: AiohttpClient, token_file: Path
) -> None:
    asked = await aiohttp_client(app_of(ROUTES, token_file))
    assert (await asked.post("/login", json={"token": TOKEN})).status == 400


@pytest.mark.parametrize("path", ["/login", "/logout", "/drain"])
async def test_page_of_another_site_can_neither_log_in_nor_out_nor_do_anything(
    aiohttp_client: AiohttpClient, token_file: Path, path: str
) -> None:
    asked = await aiohttp_client(app_of(ROUTES, token_file))
    form = {"token": TOKEN}
    begun = await asked.post("/login", data=form, allow_redirects=False)
    foreign = {"Origin": "https://evil.example", **session(begun)}
    assert (await asked.post(path, data=form, headers=foreign)).status == 403
    assert (await asked.get("/", headers=session(begun))).status == 200


async def test_form_is_not_shown_where_there_is_no_token(aiohttp_client: AiohttpClient) -> None:
    asked = await aiohttp_client(app_of(ROUTES))
    for response in (
        await asked.get("/login", allow_redirects=False),
        await asked.post("/login", data={"token": "x"}, allow_redirects=False),
    ):
        assert (response.status, response.headers["Location"]) == (303, "/")


async def test_form_that_does_not_arrive_is_given_up(
    aiohttp_client: AiohttpClient, token_file: Path
) -> None:
    asked = await aiohttp_client(app_of(ROUTES, token_file, form_seconds=0.01))
    reader, writer = await asyncio.open_connection(asked.host, asked.port)
    head = f"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\n"
    writer.write(f"{head}Content-Length: 99\r\n\r\ntoken=".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()


def test_session_is_masked_where_it_is_logged() -> None:
    assert redacted_text(f"no field: Cookie: {COOKIE}=geheim") == f"no field: Cookie: {COOKIE}=***"
