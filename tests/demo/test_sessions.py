from __future__ import annotations

import jwt
import pytest

from gateway.demo.sessions import (
    ACME,
    GLOBEX,
    Credential,
    Organization,
    Sessions,
    organization_named,
)


def _claims(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_tokens_are_the_same_every_time() -> None:
    assert Sessions().tokens == Sessions().tokens


@pytest.mark.parametrize("organization", [ACME, GLOBEX])
@pytest.mark.parametrize("credential", list(Credential))
def test_token_tells_who_it_is_of(organization: Organization, credential: Credential) -> None:
    sessions = Sessions()
    name = f"{organization.name}-{credential}"
    session = sessions.of(sessions.tokens[name])
    assert session is not None
    assert (session.organization, session.credential) == (organization, credential)
    claims = _claims(sessions.tokens[name])
    assert claims["org_uuid"] == session.organization.name
    assert claims["user_id"] == session.user_id


def test_tokens_differ_in_their_expiry() -> None:
    tokens = Sessions().tokens
    integration = _claims(tokens["acme-integration"])
    assert integration["exp"] == integration["iat"]
    assert "exp" not in _claims(tokens["acme-viewer"])


def test_nobody_is_logged_in_with_the_unknown_token() -> None:
    sessions = Sessions()
    assert sessions.of(sessions.tokens["unknown"]) is None
    assert sessions.of(sessions.tokens["acme-opaque"]) == sessions.named("acme-user")
    assert "." not in sessions.tokens["acme-opaque"]


@pytest.mark.parametrize(
    ("name", "access_list", "may"),
    [
        ("acme-admin", (), True),
        ("acme-integration", (), True),
        ("acme-user", (), False),
        ("acme-user", ("user",), True),
        ("acme-user", ("acme-user@acme.test",), True),
        ("acme-manager", ("user", "viewer"), False),
    ],
)
def test_access_list_lets_in(name: str, access_list: tuple[str, ...], may: bool) -> None:
    assert Sessions().named(name).may_use(access_list) is may


def test_organization_is_found_by_name_only() -> None:
    assert organization_named("acme") == ACME
    assert organization_named(ACME.id) is None
