"""Faults on request: what a test wants the orchestrator to do wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

MAX_STALL_SECONDS = 300.0


class FaultKind(StrEnum):
    REFUSE = "refuse"
    """500, as when TheEye's own auth service cannot be reached."""
    STATUS = "status"
    """Any status, with a JSON string as content."""
    LOOKUP = "lookup"
    """Any status, as while TheEye's own auth service answers with it."""
    STALL = "stall"
    """No answer until released; then the right one."""
    CLOSE = "close"
    """The connection is closed without an answer."""
    CUT = "cut"
    """The connection is closed in the middle of the content."""
    GARBAGE = "garbage"
    """What is answered is not HTTP."""


@dataclass(slots=True)
class Fault:
    kind: FaultKind
    path: str
    """What the request's path begins with."""
    method: str = ""
    """Empty for all."""
    times: int | None = 1
    """For so many requests, then no more; None for all."""
    status: int = 503

    def concerns(self, method: str, path: str) -> bool:
        return path.startswith(self.path) and self.method in ("", method)


class Faults:
    """The faults asked for; the first that concerns a request befalls it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._released = asyncio.Event()
        self.stalled = 0
        """How many requests are held at the moment."""

    def add(
        self,
        kind: FaultKind,
        path: str = "/",
        *,
        method: str = "",
        times: int | None = 1,
        status: int = 503,
    ) -> None:
        self._faults.append(Fault(kind, path, method, times, status))

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request; it counts."""
        fault = next((fault for fault in self._faults if fault.concerns(method, path)), None)
        if fault is not None and fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._faults.remove(fault)
        return fault

    async def stall(self) -> None:
        """Waits for the next release."""
        self.stalled += 1
        try:
            async with asyncio.timeout(MAX_STALL_SECONDS):
                await self._released.wait()
        finally:
            self.stalled -= 1

    def clear(self) -> None:
        """No more faults; what is stalled goes on."""
        self._faults.clear()
        self._released.set()
        self._released = asyncio.Event()
