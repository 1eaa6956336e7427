from __future__ import annotations

from gateway.config import Config
from gateway.config.effective import Effective


def test_settings_that_come_from_nowhere_are_the_same_again() -> None:
    settings = Effective(Config())
    assert settings.again() is settings
    assert settings == Effective()
    assert dict(settings.origins) == {}


def test_settings_are_read_again_from_where_they_came() -> None:
    newer = Effective(origins={"listen.port": "GATEWAY_LISTEN__PORT"})
    assert Effective(load=lambda: newer).again() is newer
