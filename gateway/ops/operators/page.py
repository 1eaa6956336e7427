"""The operators' page over HTTP: its files, its event stream, and who waits as JSON."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from gateway import __version__
from gateway.errors import Overloaded
from gateway.ops.glances.glance import LISTED_WAITS, WaitRow
from gateway.ops.glances.together import waits_together
from gateway.ops.operators.routes import Audience, OperatorRoute, told
from gateway.ops.page.files import FILES, INDEX, SAFE_FIELDS, content, fields
from gateway.ops.page.snapshot import PageSnapshots
from gateway.ops.page.viewers import Viewers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.ops.glances.sights import Sights

    Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

WRITE_SECONDS: Final = 10.0
"""What a viewer gets to take an event; then its place is another's."""
_STREAM_FIELDS = {
    **SAFE_FIELDS,
    "Content-Type": "text/event-stream",
    # Whatever passes it on is to keep nothing back.
    "X-Accel-Buffering": "no",
}


class ListedWaits(msgspec.Struct):
    """What ``/waits`` answers."""

    count: int
    truncated: bool
    """There are more than these, of which half are the oldest and half the newest."""
    waits: list[WaitRow]


def page_routes(sights: Sights, write_seconds: float = WRITE_SECONDS) -> list[OperatorRoute]:
    """What shows the gateway at work."""
    viewers = Viewers(PageSnapshots(__version__, sights), sights)

    async def waits(_: web.Request) -> web.Response:
        found = waits_together(await sights.waits(), LISTED_WAITS)
        return told(200, ListedWaits(found.count, len(found.rows) < found.count, found.rows))

    async def events(request: web.Request) -> web.StreamResponse:
        if viewers.is_full:
            raise Overloaded("As many are looking as may: close another page first")
        response = web.StreamResponse(headers=_STREAM_FIELDS)
        async with aclosing(viewers.events()) as stream:
            await response.prepare(request)
            if request.method == "HEAD":
                return response
            with suppress(ConnectionError):
                async for event in stream:
                    try:
                        async with asyncio.timeout(write_seconds):
                            await response.write(event)
                    except TimeoutError:
                        _cut(request)
                        break
        return response

    return [
        OperatorRoute("GET", "/waits", Audience.OPERATORS, "who waits for what, as JSON", waits),
        OperatorRoute(
            "GET", "/events", Audience.OPERATORS, "what the page shows, every two seconds", events
        ),
        OperatorRoute("GET", "/page/{name}", Audience.OPERATORS, "the files of the page", _file),
    ]


def page_or(index: Answer) -> OperatorRoute:
    """The page for browsers, and ``index`` for everybody else."""

    async def answer(request: web.Request) -> web.StreamResponse:
        is_browser = "text/html" in request.headers.get("Accept", "").lower()
        response = _sent(INDEX) if is_browser else await index(request)
        response.headers["Vary"] = "Accept"
        return response

    return OperatorRoute("GET", "/", Audience.OPERATORS, "this list; to a browser a page", answer)


async def _file(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in FILES:
        raise web.HTTPNotFound
    return _sent(name)


def _sent(name: str) -> web.Response:
    return web.Response(body=content(name), headers=fields(name))


def _cut(request: web.Request) -> None:
    """Close a connection whose client takes nothing."""
    if request.transport is not None:
        request.transport.abort()
