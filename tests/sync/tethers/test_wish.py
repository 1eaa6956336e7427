"""What a request says is to become of its job."""

from __future__ import annotations

import pytest

from gateway.config import SyncConfig
from gateway.errors import BadRequest, Field
from gateway.sync.tethers.wish import NO_WISH, Wish, check_wish, is_wishless, wish_of
from tests.support.client import client

ON_TIMEOUT, ON_DISCONNECT = b"X-TheEye-On-Timeout", b"X-TheEye-On-Disconnect"
ALL = SyncConfig(on_timeout="cancel", on_disconnect="cancel")


def wished(*fields: Field, config: SyncConfig | None = None, obstacle: str = "") -> Wish:
    return wish_of(client("POST", "/", fields), config or SyncConfig(), obstacle)


@pytest.mark.parametrize(
    ("fields", "on_timeout", "on_disconnect"),
    [
        ((), False, False),
        (((ON_TIMEOUT, b"cancel"),), True, False),
        (((ON_DISCONNECT, b"cancel"),), False, True),
        (((b"x-theeye-on-disconnect", b" Cancel "),), False, True),
        (((ON_DISCONNECT, b"cancel"), (ON_DISCONNECT, b"CANCEL")), False, True),
        (((ON_TIMEOUT, b"continue"), (ON_DISCONNECT, b"continue")), False, False),
    ],
)
def test_fields_say_upon_what_the_job_is_cancelled(
    fields: tuple[Field, ...], on_timeout: bool, on_disconnect: bool
) -> None:
    wish = wished(*fields)
    assert wish == Wish(on_timeout, on_disconnect)
    assert wish.is_any is (on_timeout or on_disconnect)


def test_settings_say_it_where_a_field_is_missing() -> None:
    assert wished(config=ALL) == Wish(on_timeout=True, on_disconnect=True)
    kept = wished((ON_TIMEOUT, b"continue"), config=ALL)
    assert kept == Wish(on_timeout=False, on_disconnect=True)


@pytest.mark.parametrize("name", [ON_TIMEOUT, ON_DISCONNECT])
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((b"abort",), 'is "abort"'),
        ((b"",), 'is ""'),
        ((b"cancel, cancel",), 'is "cancel, cancel"'),
        ((b"cancel", b"continue"), "has several values"),
        ((b"\xe9" * 100,), 'is "'),
    ],
)
def test_anything_else_is_refused_in_words(
    name: bytes, values: tuple[bytes, ...], told: str
) -> None:
    fields = [(name, value) for value in values]
    for refused in (lambda: wished(*fields), lambda: check_wish(client("GET", "/", fields))):
        with pytest.raises(BadRequest) as raised:
            refused()
        assert f"{name.decode()} must be continue or cancel, and {told}" in raised.value.message
        assert len(raised.value.message) < 200


@pytest.mark.parametrize(
    ("fields", "config", "expected"),
    [
        ((), SyncConfig(), True),
        (((b"Prefer", b"wait=5"),), SyncConfig(), True),
        (((ON_TIMEOUT, b"continue"),), SyncConfig(), False),
        (((ON_DISCONNECT, b""),), SyncConfig(), False),
        ((), SyncConfig(on_timeout="cancel"), False),
        ((), SyncConfig(on_disconnect="cancel"), False),
    ],
)
def test_most_requests_say_nothing(
    fields: tuple[Field, ...], config: SyncConfig, expected: bool
) -> None:
    assert is_wishless(client("POST", "/", fields), config) is expected


def test_what_is_right_needs_no_refusal() -> None:
    check_wish(client("GET", "/", ((ON_TIMEOUT, b"cancel"),)))
    check_wish(client("GET", "/"))


def test_what_cannot_be_is_refused_if_it_is_asked_for() -> None:
    """The settings are for all, and ask nothing impossible of anybody."""
    assert wished(config=ALL, obstacle="no token") == NO_WISH
    assert wished((ON_TIMEOUT, b"continue"), obstacle="no token") == NO_WISH
    with pytest.raises(BadRequest, match="could not be cancelled: no token"):
        wished((ON_DISCONNECT, b"cancel"), obstacle="no token")
