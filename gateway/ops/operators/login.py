"""A form for the token, for browsers: whoever sends it gets a cookie that stands for it.

The cookie names a session. A script cannot read it (HttpOnly), no page of another site can have it
sent (SameSite), and where the listener speaks TLS it goes nowhere else (Secure).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from aiohttp import web

from gateway.downstream.listening.sockets import peer_address
from gateway.errors import BadRequest, RequestTimeout
from gateway.ops.access.guard import Visit
from gateway.ops.access.sessions import SESSION_SECONDS
from gateway.ops.operators.routes import NO_STORE, Audience, OperatorRoute

if TYPE_CHECKING:
    from gateway.ops.access.guard import Guard
    from gateway.ops.access.sessions import OperatorSessions

COOKIE = "theeye_sync_gateway_session"
"""What has ``session`` in its name is masked wherever it is logged."""
FORM_SECONDS = 5.0
"""What the form gets to arrive in."""
FORM_TYPE = "application/x-www-form-urlencoded"
_STRICT = {
    **NO_STORE,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # With "no-referrer" a browser would send the form with Origin: null (Fetch, 3.1).
    "Referrer-Policy": "same-origin",
}
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>theeye-sync-gateway</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
form { max-width: 22rem; margin: 20vh auto; padding: 0 1rem; display: grid; gap: .75rem }
input, button { font: inherit; padding: .5rem }
</style>
<form method="post" action="/login">
<label for="token">The operators' token (<code>admin.token_file</code>)</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
</form>
</html>
"""


def visit_of(request: web.BaseRequest) -> Visit:
    """What the guard has to know of a request."""
    transport = request.transport
    peer = peer_address(None if transport is None else transport.get_extra_info("peername"))
    return Visit(request.method, peer, request.headers, request.cookies.get(COOKIE, ""))


def login_form(status: int = 200, **fields: str) -> web.Response:
    """The form, as a page of its own."""
    return web.Response(
        status=status, text=_PAGE, content_type="text/html", headers={**_STRICT, **fields}
    )


def login_routes(
    guard: Guard, sessions: OperatorSessions, form_seconds: float = FORM_SECONDS
) -> list[OperatorRoute]:
    """Of browsers only: everybody else shows the token with each request."""

    async def form(_: web.Request) -> web.Response:
        return login_form() if guard.needs_token else _away_to("/")

    async def login(request: web.Request) -> web.Response:
        visit = visit_of(request)
        guard.refuse_other_sites(visit)
        if not guard.needs_token:
            return _away_to("/")
        guard.judge(await _token_of(request, form_seconds), visit.peer)
        response = _away_to("/")
        response.set_cookie(
            COOKIE,
            sessions.begin(),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        return response

    async def logout(request: web.Request) -> web.Response:
        visit = visit_of(request)
        guard.refuse_other_sites(visit)
        sessions.end(visit.session)
        response = _away_to("/login")
        response.del_cookie(COOKIE, httponly=True, samesite="Strict", secure=request.secure)
        return response

    return [
        OperatorRoute("GET", "/login", Audience.EVERYBODY, "a form for the token", form),
        OperatorRoute("POST", "/login", Audience.EVERYBODY, "begins a browser's session", login),
        OperatorRoute("POST", "/logout", Audience.EVERYBODY, "ends it", logout),
    ]


async def _token_of(request: web.Request, seconds: float) -> bytes:
    if request.content_type != FORM_TYPE:
        raise BadRequest(f"The content must be {FORM_TYPE}")
    try:
        async with asyncio.timeout(seconds):
            content = await request.read()
    except TimeoutError:
        raise RequestTimeout from None
    given = parse_qs(content.decode("latin-1")).get("token", [])
    return given[0].strip().encode("utf-8", "surrogatepass") if len(given) == 1 else b""


def _away_to(path: str) -> web.Response:
    return web.Response(status=303, headers={**NO_STORE, "Location": path})
