"""This process as a service of systemd; elsewhere nothing is handed over, and nobody told."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from gateway.server.systemd.activation import Inherited, inherited
from gateway.server.systemd.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

_log = logging.getLogger("gateway")
BEATS = 3
"""How often the watchdog is told within its time."""


@dataclass(frozen=True, slots=True)
class Service:
    """``notifier`` is told of each change, and within ``watchdog_seconds`` that all is well; 0 is
    no watchdog.
    """

    sockets: Inherited
    notifier: Notifier
    watchdog_seconds: float

    @classmethod
    def of(cls, environment: MutableMapping[str, str], pid: int) -> Self:
        """What ``environment`` says to the process ``pid``. It is taken out: a process that this
        one starts has no part in it.

        Raises:
            OSError: what was handed over is of no use.
        """
        sockets = inherited(environment, pid)
        address = environment.pop("NOTIFY_SOCKET", "")
        watched = environment.pop("WATCHDOG_PID", "") or str(pid)
        microseconds = environment.pop("WATCHDOG_USEC", "")
        is_watched = watched == str(pid) and microseconds.isascii() and microseconds.isdigit()
        notifier = Notifier(address)
        if sockets.connections:
            notifier.take_over()
        return cls(sockets, notifier, int(microseconds) / 1e6 if is_watched else 0.0)

    async def keep_alive(self, trouble: Callable[[], Awaitable[str]]) -> None:
        """Tell the watchdog so while there is no ``trouble``, which is empty then; end at once
        where there is no watchdog.
        """
        last = ""
        while self.watchdog_seconds > 0:
            found = await trouble()
            if not found:
                self.notifier.alive()
            elif found != last:
                _log.warning("the watchdog is not told that all is well: %s", found)
                self.notifier.status(found)
            if last and not found:
                self.notifier.status("all is well again")
            last = found
            await asyncio.sleep(self.watchdog_seconds / BEATS)
