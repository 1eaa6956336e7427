"""``POST /reload``: what came of it, or all that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.config.effective import SettingsError
from gateway.errors import GatewayError
from gateway.ops.operators.routes import Audience, OperatorRoute, told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from gateway.server.reload.reloader import Reloaded


class SettingsRefused(GatewayError):
    """The settings cannot be used; those in force stay (RFC 9110, 15.5.21)."""

    status, code = 422, "SettingsRefused"


def reload_route(reload: Callable[[str], Awaitable[Reloaded]]) -> OperatorRoute:
    """``reload`` is told who wants it."""

    async def answer(_: web.Request) -> web.StreamResponse:
        try:
            return told(200, await reload("POST /reload"))
        except SettingsError as failure:
            raise SettingsRefused("; ".join(failure.problems)) from None

    about = "reads settings, certificates and keys again, and tells what has changed"
    return OperatorRoute("POST", "/reload", Audience.OPERATORS, about, answer)
