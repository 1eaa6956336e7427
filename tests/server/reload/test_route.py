from __future__ import annotations

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.config.effective import SettingsError
from gateway.ops.operators.routes import Audience
from gateway.server.reload.reloader import Reloaded
from gateway.server.reload.route import SettingsRefused, reload_route


async def test_operators_are_told_what_a_reload_came_to() -> None:
    asked: list[str] = []

    async def reload(why: str) -> Reloaded:
        asked.append(why)
        return Reloaded(("limits.holds",), ["listen.tls_cert_file"], ("redis.url",))

    route = reload_route(reload)
    assert (route.method, route.path, route.audience) == ("POST", "/reload", Audience.OPERATORS)
    response = await route.answer(make_mocked_request("POST", "/reload"))
    assert response.status == 200
    assert msgspec.json.decode(response.body) == {  # type: ignore[attr-defined]
        "changed": ["limits.holds"],
        "read_again": ["listen.tls_cert_file"],
        "needs_restart": ["redis.url"],
    }
    assert asked == ["POST /reload"]


async def test_operators_are_told_all_that_is_wrong() -> None:
    async def reload(_: str) -> Reloaded:
        raise SettingsError(["one", "two"])

    with pytest.raises(SettingsRefused, match="one; two") as refused:
        await reload_route(reload).answer(make_mocked_request("POST", "/reload"))
    assert refused.value.status == 422
