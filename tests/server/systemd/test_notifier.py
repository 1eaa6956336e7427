"""sd_notify(3): what a service manager reads on its socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from gateway.server.systemd.activation import MOST, MOST_CONNECTIONS
from gateway.server.systemd.notifier import Notifier
from tests.support.systemd import Told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Told]:
    path = str(tmp_path / "notify")
    told = Told(path if request.param == "path" else f"@{path}")
    yield told
    told.close()


def test_each_change_is_a_message(told: Told) -> None:
    notifier = Notifier(told.address, clock=lambda: 5_000_999)
    notifier.ready("listening")
    with notifier.reloading():
        notifier.status("two\nlines")
    notifier.alive()
    notifier.stopping("draining", 32.5)
    assert list(told.all()) == [
        {"READY": "1", "STATUS": "listening"},
        {"RELOADING": "1", "MONOTONIC_USEC": "5000"},
        {"STATUS": "two lines"},
        {"READY": "1"},
        {"WATCHDOG": "1"},
        {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "32500000", "STATUS": "draining"},
    ]


def test_descriptors_are_stored_under_a_name(told: Told) -> None:
    with socket.socket() as sock:
        assert Notifier(told.address).store([sock.fileno()] * 300) == 300
    named = {"FDSTORE": "1", "FDNAME": "kept"}
    assert list(told.all()) == [named, named]
    assert len(told.stored) == 300


def test_descriptors_that_were_handed_over_are_to_be_stored_no_longer(told: Told) -> None:
    Notifier(told.address).take_over()
    assert list(told.all()) == [{"FDSTOREREMOVE": "1", "FDNAME": "kept"}]


def test_nothing_is_stored_where_nobody_is_told() -> None:
    assert Notifier("").store([0]) == 0


def test_no_more_are_stored_than_the_next_process_takes(told: Told) -> None:
    with socket.socket() as sock:
        assert Notifier(told.address).store([sock.fileno()] * 3000) == MOST_CONNECTIONS < MOST
    assert len(list(told.all())) == MOST_CONNECTIONS / 250
    assert len(told.stored) == MOST_CONNECTIONS


def test_those_are_counted_that_were_stored_before_one_failed(told: Told) -> None:
    with socket.socket() as sock:
        assert Notifier(told.address).store([sock.fileno()] * 250 + [-1] * 250) == 250
    assert len(list(told.all())) == 1


def test_reload_that_fails_ends_all_the_same(told: Told) -> None:
    notifier = Notifier(told.address)
    with pytest.raises(ValueError, match="wrong"), notifier.reloading():
        raise ValueError("wrong")
    first, last = told.all()
    assert first["RELOADING"] == last["READY"] == "1"


def test_status_is_cut_where_it_is_long(told: Told) -> None:
    Notifier(told.address).status("é" * 10_000)
    assert list(told.all()) == [{"STATUS": "é" * 500}]


def test_nobody_is_told_without_an_address(caplog: pytest.LogCaptureFixture) -> None:
    Notifier("").ready("listening")
    assert caplog.messages == []


@pytest.mark.parametrize("address", ["/missing/socket", "@missing", "vsock:2:1", "/" + "a" * 200])
def test_manager_that_cannot_be_told_is_spoken_of_once(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(address)
    notifier.ready("listening")
    notifier.alive()
    [message] = caplog.messages
    assert message.startswith("the service manager cannot be told: ")
