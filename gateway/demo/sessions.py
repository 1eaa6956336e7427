"""Organizations, their users and the tokens these are logged in with.

The tokens are throw-away and always the same, so that the demo can print them: whoever can reach
this orchestrator may do everything here anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import jwt

SIGNING_KEY = "the demo's tokens protect nothing at all"
_ISSUED = 1_690_000_000
_FAR_FUTURE = 4_102_444_800
_OPAQUE = "0b5c0de0b5c0de0b5c0de0b5c0de0b5c0de0b5c0"


class Credential(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    USER = "user"
    VIEWER = "viewer"
    MANAGER = "manager"
    AGENT = "agent"
    INTEGRATION = "integration"


PRIVILEGED = frozenset({Credential.OWNER, Credential.ADMIN, Credential.INTEGRATION})
"""They may use every task of their organization, whatever its access list says."""

_EXPIRY: Mapping[Credential, int] = {
    Credential.OWNER: _FAR_FUTURE,
    Credential.ADMIN: _FAR_FUTURE,
    Credential.USER: _FAR_FUTURE,
    Credential.INTEGRATION: _ISSUED,
}
"""Where a credential is missing its token has no ``exp``. The integration's is no usable one."""


@dataclass(frozen=True, slots=True)
class Organization:
    name: str
    id: str


ACME = Organization("acme", "64a000000000000000000001")
GLOBEX = Organization("globex", "64a000000000000000000002")


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in."""

    organization: Organization
    credential: Credential
    user_id: str
    username: str
    email: str

    def may_use(self, access_list: tuple[str, ...]) -> bool:
        """Whether an access list (credentials and mail addresses) lets this session in."""
        return (
            self.credential in PRIVILEGED
            or self.credential in access_list
            or self.email in access_list
        )


class Sessions:
    """Who is logged in with which token; ``tokens`` names them, as ``acme-user``.

    ``acme-opaque`` carries no claims, ``acme-expired`` has outlived its ``exp`` but not its
    session, and nobody is logged in with ``unknown``.
    """

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self._by_token: dict[str, Session] = {}
        for number, organization in enumerate((ACME, GLOBEX)):
            for index, credential in enumerate(Credential):
                user = _user(organization, credential, 10 * number + index)
                self._log_in(user.username, user, _token(user, _EXPIRY.get(credential)))
        user = self.named("acme-user")
        self._log_in("acme-opaque", user, _OPAQUE)
        self._log_in("acme-expired", user, _token(user, _ISSUED + 3600))
        self.tokens["unknown"] = _token(_user(ACME, Credential.USER, 99), _FAR_FUTURE)

    def of(self, token: str) -> Session | None:
        return self._by_token.get(token)

    def named(self, name: str) -> Session:
        """The session of ``tokens[name]``."""
        return self._by_token[self.tokens[name]]

    def _log_in(self, name: str, session: Session, token: str) -> None:
        self.tokens[name] = token
        self._by_token[token] = session


def organization_named(name: str) -> Organization | None:
    return next((found for found in (ACME, GLOBEX) if found.name == name), None)


def _user(organization: Organization, credential: Credential, number: int) -> Session:
    username = f"{organization.name}-{credential}"
    return Session(
        organization,
        credential,
        f"64b{number:021x}",
        username,
        f"{username}@{organization.name}.test",
    )


def _token(session: Session, expires: int | None) -> str:
    claims: dict[str, str | int] = {
        "email": session.email,
        "username": session.username,
        "user_id": session.user_id,
        "org_uuid": session.organization.name,
        "iat": _ISSUED,
    }
    if expires is not None:
        claims["exp"] = expires
    return jwt.encode(claims, SIGNING_KEY, algorithm="HS256")
