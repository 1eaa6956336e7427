"""Ending the gateway, as SIGTERM does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from gateway.ops.operators.routes import Audience, OperatorRoute, told

if TYPE_CHECKING:
    from collections.abc import Callable


def drain_route(end: Callable[[], object]) -> OperatorRoute:
    """``end`` begins the drain. It is called once, after the response: as with a second SIGTERM, a
    second call would cut what still runs, and whoever repeats a request does not mean that."""
    has_begun = False

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal has_begun
        response = told(202, {"status": "draining"})
        await response.prepare(request)
        await response.write_eof()
        if not has_begun:
            has_begun = True
            end()
        return response

    about = "lets running requests finish and ends the gateway, as SIGTERM does"
    return OperatorRoute("POST", "/drain", Audience.OPERATORS, about, answer)
