from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, web

from gateway.admission.identity.key_files import UnusableKey
from gateway.config import AdminConfig
from gateway.downstream.listening.tls import UnusableCertificate
from gateway.errors import BadRequest
from gateway.ops.operators.admin import CONNECTIONS, CONTENT_BYTES, admin_listening
from gateway.ops.operators.routes import Audience, OperatorRoute
from tests.support.certificates import self_signed
from tests.support.operators import TOKEN, app_of, route

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_aiohttp.plugin import AiohttpClient

ROUTES = [route("GET", "/live", Audience.EVERYBODY), route("GET", "/config")]


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.mark.parametrize(
    ("line", "status", "code", "allow"),
    [
        ("GET /elsewhere", 404, "NotFound", None),
        ("POST /config", 405, "MethodNotAllowed", "GET, HEAD"),
        ("DELETE /login", 405, "MethodNotAllowed", "GET, HEAD, POST"),
    ],
)
async def test_rfc_9110_15_5_6_what_there_is_not_is_refused_in_theeyes_shape(
    aiohttp_client: AiohttpClient, line: str, status: int, code: str, allow: str | None
) -> None:
    """A 405 has an Allow."""
    asked = await aiohttp_client(app_of(ROUTES))
    response = await asked.request(*line.split())
    assert response.status == status
    assert response.headers.get("Allow") == allow
    told = await response.json()
    assert (told["statusCode"], told["code"]) == (status, code)
    assert len(told["requestId"]) == 32


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [(BadRequest("so not"), 400, "BadRequest"), (KeyError("secret"), 500, "Internal")],
)
async def test_failures_are_answered_in_theeyes_shape(
    aiohttp_client: AiohttpClient, failure: Exception, status: int, code: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        raise failure

    failing = OperatorRoute("GET", "/x", Audience.EVERYBODY, "fails", answer)
    response = await (await aiohttp_client(app_of([failing]))).get("/x")
    told = await response.json()
    assert (response.status, told["code"]) == (status, code)
    assert "secret" not in told["message"]


async def test_content_that_is_large_is_refused(
    aiohttp_client: AiohttpClient, token_file: Path
) -> None:
    asked = await aiohttp_client(app_of(ROUTES, token_file))
    form = {"token": "x" * CONTENT_BYTES}
    assert (await asked.post("/login", data=form)).status == 413


async def test_operators_routes_need_the_token_and_others_do_not(
    aiohttp_client: AiohttpClient, token_file: Path
) -> None:
    asked = await aiohttp_client(app_of(ROUTES, token_file))
    assert (await asked.get("/live")).status == 200
    for path in ("/config", "/"):
        refused = await asked.get(path)
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
        assert (await refused.json())["code"] == "OperatorTokenNeeded"
        shown = {"Authorization": f"Bearer {TOKEN}"}
        assert (await asked.get(path, headers=shown)).status == 200


async def test_operators_routes_without_a_token_are_for_this_machine(
    aiohttp_client: AiohttpClient,
) -> None:
    asked = await aiohttp_client(app_of(ROUTES))
    assert (await asked.get("/config")).status == 200
    refused = await asked.get("/config", headers={"Host": "rebound.example"})
    assert refused.status == 403
    told = await refused.json()
    assert told["code"] == "OperatorsOnly"
    assert "admin.token_file" in told["message"]
    assert (await asked.get("/live", headers={"Host": "rebound.example"})).status == 200


async def test_renewed_token_replaces_the_former_one_and_ends_its_sessions(
    token_file: Path,
) -> None:
    admin = AdminConfig(port=0, token_file=str(token_file))
    former, newer = ({"Authorization": f"Bearer {token}"} for token in (TOKEN, TOKEN[::-1]))
    async with admin_listening(ROUTES, admin) as listener, ClientSession(listener.url) as client:
        # Cookies of addresses are not kept.
        async with client.post("/login", data={"token": TOKEN}, allow_redirects=False) as begun:
            (cookie,) = begun.cookies.values()
        session = {"Cookie": f"{cookie.key}={cookie.value}"}

        async def statuses() -> list[int]:
            found = []
            for shown in (former, newer, session):
                async with client.get("/config", headers=shown) as response:
                    found.append(response.status)
            return found

        read_again = listener.renewals["admin.token_file"]
        assert await statuses() == [200, 401, 200]
        read_again()()
        assert await statuses() == [200, 401, 200]
        token_file.write_text("short")  # noqa: ASYNC240 - a few bytes
        with pytest.raises(UnusableKey):
            read_again()
        token_file.write_text(TOKEN[::-1])  # noqa: ASYNC240 - a few bytes
        take = read_again()
        assert await statuses() == [200, 401, 200]
        take()
        assert await statuses() == [401, 200, 401]


async def test_listener_with_a_certificate_speaks_tls_and_takes_up_a_renewed_one(
    tmp_path: Path,
) -> None:
    files = self_signed(tmp_path)
    admin = AdminConfig(port=0, tls_cert_file=str(files.cert), tls_key_file=str(files.key))
    async with admin_listening(ROUTES, admin) as listener:
        assert listener.url.startswith("https://127.0.0.1:")

        async def status(trusting: ssl.SSLContext) -> int:
            async with (
                ClientSession() as client,
                client.get(f"{listener.url}/live", ssl=trusting) as response,
            ):
                return response.status

        assert await status(files.trusting()) == 200
        renewed = self_signed(tmp_path, "renewed")
        files.replace(renewed)
        listener.renewals["admin.tls_cert_file"]()()
        assert await status(renewed.trusting()) == 200
        files.cert.write_text("none")
        with pytest.raises(UnusableCertificate):
            listener.renewals["admin.tls_cert_file"]()()
        assert await status(renewed.trusting()) == 200


async def test_connections_on_which_nothing_is_asked_keep_nobody_out() -> None:
    async with AsyncExitStack() as stack:
        admin = AdminConfig(host="127.0.0.1", port=0)
        listener = await stack.enter_async_context(admin_listening(ROUTES, admin))
        port = int(listener.url.rpartition(":")[2])
        for _ in range(CONNECTIONS):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(b"GET /live HTTP/1.1\r\n")
        async with asyncio.timeout(5), ClientSession() as session:
            assert (await session.get(f"{listener.url}/live")).status == 200


async def test_connections_that_are_closed_for_others_are_not_busy_ones() -> None:
    async with AsyncExitStack() as stack:
        admin, goes_on = AdminConfig(host="127.0.0.1", port=0), asyncio.Event()

        async def answer(_: web.Request) -> web.Response:
            await goes_on.wait()
            return web.Response(text="late")

        routes = [*ROUTES, OperatorRoute("GET", "/slow", Audience.EVERYBODY, "is slow", answer)]
        listener = await stack.enter_async_context(admin_listening(routes, admin))
        session = await stack.enter_async_context(ClientSession())
        port = int(listener.url.rpartition(":")[2])
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            slow = tasks.create_task(session.get(f"{listener.url}/slow").__aenter__())
            for _ in range(CONNECTIONS):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.callback(writer.close)
            assert (await session.get(f"{listener.url}/live")).status == 200
            goes_on.set()
        assert await slow.result().text() == "late"


async def test_malformed_requests_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with admin_listening(ROUTES, AdminConfig(host="127.0.0.1", port=0)) as listener:
        port = int(listener.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /live HTTP/1.1\r\nHost: a\r\nContent-Length: b\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
    assert not caplog.records
