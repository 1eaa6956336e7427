"""The admin listener without a socket of its own, and what is asked of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.ops.access.guard import Guard
from gateway.ops.access.sessions import OperatorSessions
from gateway.ops.access.token import OperatorToken
from gateway.ops.operators.admin import admin_app
from gateway.ops.operators.login import FORM_SECONDS
from gateway.ops.operators.routes import Audience, OperatorRoute, told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TOKEN = "0123456789abcdef0123456789abcdef"


def app_of(
    routes: Sequence[OperatorRoute],
    token_file: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
    form_seconds: float = FORM_SECONDS,
) -> web.Application:
    """An application that answers these routes, for the token in a file where that is given."""
    sessions = OperatorSessions(clock)
    token = None if token_file is None else OperatorToken(str(token_file))
    guard = Guard(token, sessions, "127.0.0.1", clock)
    return admin_app(routes, guard, sessions, form_seconds)


def route(method: str, path: str, audience: Audience = Audience.OPERATORS) -> OperatorRoute:
    """A route that answers with its path."""

    async def answer(_: web.Request) -> web.Response:
        return told(200, path)

    return OperatorRoute(method, path, audience, f"answers {path}", answer)
