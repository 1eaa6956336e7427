"""Who is asking, and for which organization: TheEye's rules for tokens (passport's bearer)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.demo import answers
from gateway.demo.arguments import Query
from gateway.demo.sessions import Organization, Session, Sessions, organization_named

_UNAUTHORIZED = "Unauthorized"
_REJECTED = '{"message":"Unauthorized","statusCode":401}'


def session_of(sessions: Sessions, authorization: str, query: Query, body: Any) -> Session:
    """The session of the request's token, which is in one place only: field, query or body."""
    found = [*_bearer(authorization), *_parameters(query), *_member(body)]
    if len(found) != 1 or not found[0]:
        raise answers.plain(401, _UNAUTHORIZED)
    token = found[0]
    if not token.isascii():
        raise answers.unknown_token(400)
    if not token.isprintable() or " " in token:
        message = "TypeError [ERR_UNESCAPED_CHARACTERS]: Request path contains unescaped characters"
        raise answers.coded(500, "Internal", message)
    session = sessions.of(token)
    if session is None:
        raise answers.unknown_token(401, _REJECTED)
    return session


def organization_of(
    session: Session, params: Mapping[str, str], query: Query, body: Any
) -> Organization:
    """The organization the request names, which has to be the session's."""
    named = params.get("customer") or query.get("customer", [""])[0]
    if not named and isinstance(body, dict):
        named = body.get("customer") or ""
    if not named:
        return session.organization
    organization = organization_named(named)
    if organization is None:
        raise answers.plain(404, "organization not found")
    if organization != session.organization:
        raise answers.conflict()
    return organization


def _bearer(authorization: str) -> list[str]:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token:
        return []
    return [token]


def _parameters(query: Query) -> list[str]:
    """A parameter that comes twice is an array to TheEye, and no token it knows."""
    values = query.get("access_token", [])
    return values if len(values) <= 1 else [",".join(values)]


def _member(body: Any) -> list[str]:
    token = body.get("access_token") if isinstance(body, dict) else None
    return [token] if isinstance(token, str) else []
