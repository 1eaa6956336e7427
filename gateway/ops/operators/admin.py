"""The operators' listener: routes, who may ask for them, and TLS where it has a certificate."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from gateway.downstream.listening.acceptor import Acceptor
from gateway.downstream.listening.places import Places
from gateway.downstream.listening.sockets import bound, url_of
from gateway.downstream.listening.tls import CLOSE_SECONDS as TLS_CLOSE_SECONDS
from gateway.downstream.listening.tls import Certificate
from gateway.errors import ContentTooLarge, GatewayError, response_of
from gateway.ops.access.guard import Guard
from gateway.ops.access.refusals import MethodNotAllowed, NotFound, OperatorTokenNeeded
from gateway.ops.access.sessions import OperatorSessions
from gateway.ops.access.token import OperatorToken
from gateway.ops.operators.login import FORM_SECONDS, login_form, login_routes, visit_of
from gateway.ops.operators.page import page_or
from gateway.ops.operators.routes import NO_STORE, Audience, index

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
    from socket import socket

    from gateway.config import AdminConfig
    from gateway.ops.operators.routes import OperatorRoute

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger("gateway")
_log_of_listener = logging.getLogger("gateway.admin")
CLOSE_SECONDS = 1.0
HANDSHAKE_SECONDS = 10.0
CONNECTIONS = 16
"""The most of operators at once. Where all are taken those on which no request is answered are
closed, and others wait. Descriptors are kept for so many."""
CONTENT_BYTES = 16 * 1024
"""The most that a request may bring."""


Renewal = Callable[[], Callable[[], object]]
"""Reads a file again, and gives what takes up what was read. Raises UnusableKey or
UnusableCertificate."""


class BusyConnections:
    """The connections on which a request is answered."""

    def __init__(self) -> None:
        self._connections: set[object] = set()

    @web.middleware
    async def note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._connections.add(request.protocol)
        try:
            return await handler(request)
        finally:
            self._connections.discard(request.protocol)

    def close_others(self, server: web.Server) -> None:
        """Close those on which nothing is asked, or a response is not taken."""
        for connection in server.connections:
            if connection not in self._connections and connection.transport is not None:
                connection.transport.abort()


@dataclass(frozen=True, slots=True)
class AdminListener:
    """A listener that answers."""

    url: str
    renewals: Mapping[str, Renewal]
    """By the settings that name the files."""
    certificate: Certificate | None = None


def admin_app(
    routes: Sequence[OperatorRoute],
    guard: Guard,
    sessions: OperatorSessions,
    form_seconds: float = FORM_SECONDS,
) -> web.Application:
    """What answers on ``admin.host``:``admin.port``: the ``routes``, at ``/`` a list of them or
    the page that stands on them, and the form for the token, which has to arrive within
    ``form_seconds``."""
    table = [*routes, *login_routes(guard, sessions, form_seconds)]
    table.append(page_or(index(table).answer))
    app = web.Application(client_max_size=CONTENT_BYTES, middlewares=[_in_theeyes_shape])
    for route in table:
        add = partial(app.router.add_route, route.method)
        (app.router.add_get if route.method == "GET" else add)(route.path, _for(route, guard))
    return app


@asynccontextmanager
async def admin_listening(
    routes: Sequence[OperatorRoute],
    admin: AdminConfig,
    inherited: Sequence[socket] = (),
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[AdminListener]:
    """Within the block, operators are answered: on ``inherited`` sockets if there are any, else
    where ``admin`` says.

    Raises:
        OSError: the address cannot be had.
        UnusableKey: there is no token in its file that would do.
        UnusableCertificate
    """
    token = OperatorToken(admin.token_file) if admin.token_file else None
    sessions = OperatorSessions(clock)
    guard = Guard(token, sessions, admin.host, clock)
    renewals: dict[str, Renewal] = {}
    if token is not None:
        renewals["admin.token_file"] = partial(_renewed_token, token, sessions)
    options: dict[str, Any] = {}
    certificate: Certificate | None = None
    if admin.tls_cert_file:
        certificate = Certificate(admin.tls_cert_file, admin.tls_key_file)
        renewals["admin.tls_cert_file"] = partial(_renewed_certificate, certificate, admin)
        options = {
            "ssl": certificate.context,
            "ssl_handshake_timeout": HANDSHAKE_SECONDS,
            "ssl_shutdown_timeout": TLS_CLOSE_SECONDS,
        }
    app, busy = admin_app(routes, guard, sessions), BusyConnections()
    app.middlewares.insert(0, busy.note)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=CLOSE_SECONDS,
        logger=_log_of_listener,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        server = runner.server
        assert server is not None
        sockets = inherited or await bound(admin.host, admin.port)
        url = url_of(sockets[0].getsockname(), "https" if options else "http")
        acceptor = Acceptor(
            sockets,
            server,
            Places(CONNECTIONS),
            count=lambda: len(server.connections),
            on_short=partial(busy.close_others, server),
            **options,
        )
        stack.push_async_callback(acceptor.aclose)
        acceptor.start()
        yield AdminListener(url, renewals, certificate)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """False for malformed requests, of which whoever reaches the listener can send many."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


_log_of_listener.addFilter(_is_worth_a_line)


def _renewed_token(token: OperatorToken, sessions: OperatorSessions) -> Callable[[], None]:
    hashed = token.read_again()

    def take() -> None:
        if token.take(hashed):
            # They were begun with the former one.
            sessions.end_all()

    return take


def _renewed_certificate(certificate: Certificate, admin: AdminConfig) -> Callable[[], None]:
    return partial(certificate.become, Certificate(admin.tls_cert_file, admin.tls_key_file))


def _for(route: OperatorRoute, guard: Guard) -> Handler:
    """The route's handler, for its audience."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            if route.audience is Audience.OPERATORS:
                guard.admit(visit_of(request))
            return await route.answer(request)
        except OperatorTokenNeeded as failure:
            if "text/html" not in request.headers.get("Accept", ""):
                raise
            fields = {name.decode(): value.decode() for name, value in failure.fields}
            return login_form(failure.status, **fields)

    return answer


@web.middleware
async def _in_theeyes_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except GatewayError as failure:
        return _refused(failure)
    except web.HTTPMethodNotAllowed as failure:
        allowed = ", ".join(sorted(failure.allowed_methods)).encode()
        return _refused(MethodNotAllowed(fields=((b"Allow", allowed),)))
    except web.HTTPRequestEntityTooLarge:
        return _refused(ContentTooLarge.than(CONTENT_BYTES))
    except web.HTTPNotFound:
        return _refused(NotFound())
    except (web.HTTPException, ConnectionError):
        raise
    except Exception:
        _log.exception("an operator could not be answered")
        return _refused(GatewayError())


def _refused(failure: GatewayError) -> web.Response:
    response = response_of(failure, secrets.token_hex(16))
    fields = [(name.decode(), value.decode()) for name, value in response.fields]
    return web.Response(
        status=response.status, body=response.content, headers=[*NO_STORE.items(), *fields]
    )
