"""What the environment makes of a process, and when the watchdog is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.server.systemd.activation import NOTHING
from gateway.server.systemd.notifier import Notifier
from gateway.server.systemd.service import Service
from tests.support.systemd import Told

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0.0),
        ({"WATCHDOG_USEC": "x", "WATCHDOG_PID": "7"}, 0.0),
        ({"WATCHDOG_PID": "7"}, 0.0),
    ],
)
def test_watchdog_is_the_one_of_this_process(given: dict[str, str], seconds: float) -> None:
    environment = {"PATH": "/bin", "NOTIFY_SOCKET": "/missing", **given}
    service = Service.of(environment, 7)
    assert service.watchdog_seconds == seconds
    assert service.sockets == NOTHING
    assert environment == {"PATH": "/bin"}


@pytest.mark.virtual_time
async def test_watchdog_is_told_while_there_is_no_trouble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told(str(tmp_path / "notify"))
    service = Service(NOTHING, Notifier(told.address), 3.0)
    troubles = ["", "", "no answer of worker 2", "no answer of worker 2", ""]

    async def trouble() -> str:
        return troubles.pop(0)

    task = asyncio.get_running_loop().create_task(service.keep_alive(trouble))
    await asyncio.sleep(4.5)
    task.cancel()
    alive = {"WATCHDOG": "1"}
    assert list(told.all()) == [
        alive,
        alive,
        {"STATUS": "no answer of worker 2"},
        alive,
        {"STATUS": "all is well again"},
    ]
    assert caplog.messages == [
        "the watchdog is not told that all is well: no answer of worker 2",
    ]
    told.close()


async def test_no_watchdog_is_told_nothing() -> None:
    async def trouble() -> str:
        raise AssertionError

    await Service(NOTHING, Notifier(""), 0.0).keep_alive(trouble)
