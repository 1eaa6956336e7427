"""Who is asking, and for which organization: TheEye's rules for tokens (passport's bearer)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.demo import answers
from gateway.demo.arguments import Query
from gateway.demo.qs import is_truthy, parse, text_of
from gateway.demo.sessions import Organization, Session, Sessions, organization_named

_UNAUTHORIZED = "Unauthorized"
_REJECTED = '{"message":"Unauthorized","statusCode":401}'


def session_of(sessions: Sessions, authorization: str, in_query: Any, body: Any) -> Session:
    """The session of the request's token, which is in one place only: field, body or query.

    ``in_query`` is the parameter as ``qs.parse`` gives it, a list perhaps.
    """
    in_body = body.get("access_token") if isinstance(body, dict) else None
    found = [place for place in (_bearer(authorization), in_body, in_query) if is_truthy(place)]
    if len(found) != 1:
        raise answers.plain(401, _UNAUTHORIZED)
    token = text_of(found[0])
    if not token.isascii():
        raise answers.unknown_token(400)
    if not token.isprintable() or " " in token:
        message = "TypeError [ERR_UNESCAPED_CHARACTERS]: Request path contains unescaped characters"
        raise answers.coded(500, "Internal", message)
    session = sessions.of(_asked_for(token))
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


def _bearer(authorization: str) -> str:
    """The bearer's credentials, empty without.

    Raises:
        RefusedError: it is not a scheme and a word.
    """
    parts = authorization.split(" ")
    if len(parts) == 2:
        return parts[1] if parts[0].lower() == "bearer" else ""
    if authorization:
        raise answers.plain(401, _UNAUTHORIZED)
    return ""


def _asked_for(token: str) -> str:
    """The token as the session service reads it: TheEye writes it unescaped into the address it
    asks at (recording auth_errors, ``ERR_UNESCAPED_CHARACTERS``)."""
    query = f"access_token={token}".partition("#")[0]
    return text_of(parse(query).get("access_token", ""))
