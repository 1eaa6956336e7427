from __future__ import annotations

import pytest

from gateway.config import SyncConfig
from gateway.protocols.http.preferences import Preferences
from gateway.sync.preferred import Holding, holding

CONFIG = SyncConfig(max_prefer_seconds=30)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Preferences(), Holding(5.0, redirects=True)),
        (Preferences(is_strict=True, malformed=b"x y"), Holding(5.0, redirects=True)),
        (Preferences(10), Holding(10, redirects=False, applied=(b"wait=10",))),
        (Preferences(31), Holding(30, redirects=False, applied=(b"wait=30",))),
        (Preferences(None, True), Holding(0, redirects=False, applied=(b"respond-async",))),
        (Preferences(1, True), Holding(1, redirects=False, applied=(b"respond-async", b"wait=1"))),
    ],
)
def test_preferences_come_to_a_hold(found: Preferences, expected: Holding) -> None:
    assert holding(found, CONFIG, otherwise_seconds=5.0) == expected


@pytest.mark.parametrize(
    ("held", "waits"),
    [
        (Holding(0.0, redirects=True), True),
        (Holding(3.0, redirects=False), True),
        (Holding(0.0, redirects=False), False),
    ],
)
def test_client_that_is_told_at_once_that_the_job_goes_on_does_not_wait(
    held: Holding, waits: bool
) -> None:
    assert held.waits is waits


def test_rfc_7240_3_response_names_what_was_honoured() -> None:
    held = Holding(1, redirects=False, applied=(b"respond-async", b"wait=1"))
    assert dict(held.fields(has_result=False))[b"Preference-Applied"] == b"respond-async, wait=1"
    assert dict(held.fields(has_result=True))[b"Preference-Applied"] == b"wait=1"
    assert Holding(1.0, redirects=True).fields(has_result=True) == ()
