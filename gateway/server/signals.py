"""Handlers of signals: those that end a process, and the one that has it read files again."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ENDING = (signal.SIGTERM, signal.SIGINT)


def on_end(handle: Callable[[int], object]) -> None:
    """Have ``handle`` called by the running loop with SIGTERM or SIGINT, each time one comes."""
    for number in ENDING:
        asyncio.get_running_loop().add_signal_handler(number, handle, number)


def on_reload(handle: Callable[[], object]) -> None:
    """Have ``handle`` called by the running loop each time SIGHUP comes."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, handle)
