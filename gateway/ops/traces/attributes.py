"""What spans tell of requests: names of OpenTelemetry's HTTP conventions, and of our own, which
begin with ``gateway.``. No token, no secret, no query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from yarl import URL

from gateway.ops.log.visible import (
    agent_in_words,
    shown,
    shown_address,
    shown_name,
    shown_word,
)
from gateway.protocols.http.fields import first
from gateway.protocols.theeye.redaction import SHOWN_CHARACTERS
from gateway.protocols.theeye.routes import CancelRoute, CreateRoute, ResultRoute

if TYPE_CHECKING:
    from gateway.downstream.exchange import Exchange
    from gateway.protocols.theeye.routes import PreflightRoute, Route

Value = str | int | float

METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)
"""Any other is ``_OTHER``, so that names are few."""
_HOST_CHARACTERS: Final = 256


def method_of(method: str) -> str:
    return method if method in METHODS else "_OTHER"


def path_of(target: str) -> str:
    """The path of a target, secrets masked, up to 2048 characters."""
    return shown(target, SHOWN_CHARACTERS).partition("?")[0].partition("#")[0]


def route_of(route: Route | PreflightRoute | None) -> str:
    """The route of a request that is the gateway's own to answer; empty for all others."""
    match route:
        case ResultRoute(workflow_id=workflow, by_secret=by_secret):
            prefix = "/workflows/:workflow" if workflow else ""
            return f"{prefix}/job/:id/{'secret/:secret/' if by_secret else ''}result"
        case CancelRoute(workflow_id=workflow):
            return f"{'/workflows/:workflow' if workflow else ''}/job/:id/result"
        case CreateRoute(workflow_id=workflow, by_secret=by_secret):
            secret = "/secret/:secret" if by_secret else ""
            return f"/workflows/:workflow{secret}/job" if workflow else f"/task/:task{secret}/job"
    return ""


def name_of(exchange: Exchange) -> str:
    """The name of a request's span: one of few."""
    method, route = method_of(exchange.client.method), route_of(exchange.route)
    method = "HTTP" if method == "_OTHER" else method
    return f"{method} {route}" if route else method


def of_exchange(exchange: Exchange) -> dict[str, Value]:
    """Of a request that is over, and of its response. What is not known is left out."""
    client, identity = exchange.client, exchange.identity
    agent = first(client.fields, client.names, b"user-agent")
    attributes: dict[str, Value] = {
        "http.request.method": method_of(client.method),
        "http.route": route_of(exchange.route),
        "http.response.status_code": exchange.status,
        "url.scheme": client.scheme,
        "url.path": path_of(exchange.target or client.target),
        "server.address": shown(client.host.decode("latin-1"), _HOST_CHARACTERS),
        "client.address": shown_address(exchange.address),
        "network.peer.address": shown_address(client.address),
        "user_agent.original": "" if agent is None else agent_in_words(agent),
        "gateway.request_id": shown_word(exchange.request_id),
        "gateway.kind": exchange.kind.value,
        "gateway.outcome": exchange.outcome.value,
        "gateway.reason": exchange.reason,
        "gateway.limit": exchange.limit,
        "gateway.job_id": shown_word(exchange.job_id),
        "gateway.job_state": shown_word(exchange.job_state),
        "gateway.held_seconds": exchange.held_seconds,
        "gateway.token_hash": "" if identity.token_hash is None else identity.token_hash.hex(),
    }
    if identity.is_verified:
        attributes["gateway.organization"] = shown_name(identity.customer)
        attributes["gateway.user"] = shown_name(identity.user)
    return {name: value for name, value in attributes.items() if value}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where requests are sent to: the address as the settings have it, and its parts."""

    origin: str
    host: str
    port: int
    """0 for a socket in the file system."""


def destination(url: str) -> Destination:
    """Of an address like ``http://host:port`` or ``unix:/path``."""
    if url.startswith("unix:"):
        return Destination(url, url.removeprefix("unix:"), 0)
    parsed = URL(url)
    return Destination(url.rstrip("/"), parsed.host or "", parsed.port or 0)


def of_request(
    method: str, target: str, purpose: str, status: int, to: Destination
) -> dict[str, Value]:
    """Of a request that was sent to the orchestrator."""
    attributes: dict[str, Value] = {
        "http.request.method": method_of(method),
        "http.response.status_code": status,
        "url.full": f"{to.origin}{path_of(target)}",
        "server.address": to.host,
        "server.port": to.port,
        "gateway.purpose": purpose,
    }
    return {name: value for name, value in attributes.items() if value}
