"""What the admin listener answers: a table of routes, each with whom it is for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Audience(StrEnum):
    """Whom a route is for."""

    EVERYBODY = "everybody"
    """Probes and scrapers, which show no credential."""
    OPERATORS = "operators"
    """See ``access.guard``."""


@dataclass(frozen=True, slots=True)
class OperatorRoute:
    """A method and a path. ``answer`` may raise a GatewayError, which becomes the response."""

    method: str
    path: str
    audience: Audience
    about: str
    """What it answers or does, in a few words."""
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]]


def told(status: int, body: object) -> web.Response:
    """A response that nobody keeps, with ``body`` as JSON."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        headers={**NO_STORE, "Content-Type": "application/json"},
    )


def index(routes: Sequence[OperatorRoute]) -> OperatorRoute:
    """A page that names them all."""
    width = max(len(f"{route.method} {route.path}") for route in routes)
    lines = [f"{f'{route.method} {route.path}':<{width}}  {route.about}\n" for route in routes]

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="".join(lines), headers=NO_STORE)

    return OperatorRoute("GET", "/", Audience.OPERATORS, "this list", answer)
