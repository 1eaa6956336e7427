"""Whether the gateway lives and is ready, and what it counts, for probes and scrapers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec
from aiohttp import web

from gateway.ops.operators.routes import NO_STORE, Audience, OperatorRoute, told
from gateway.ops.operators.task_dump import own_tasks

if TYPE_CHECKING:
    from gateway.ops.metrics.metrics import Metrics
    from gateway.ops.operators.health import Health, Readiness
    from gateway.ops.operators.task_dump import TaskDump


class Vitals(Protocol):
    """What operators ask for."""

    async def liveness(self) -> str:
        """Why it does not live as it should, empty if it does."""
        raise NotImplementedError

    async def readiness(self) -> Readiness:
        """Whether traffic should come here."""
        raise NotImplementedError

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the form that ``Accept`` asks for."""
        raise NotImplementedError

    async def tasks(self) -> dict[str, TaskDump]:
        """The tasks of each process that answers, by what the process is."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ProcessVitals:
    """Those of this process, which lives as long as it answers."""

    health: Health
    counted: Metrics

    async def liveness(self) -> str:
        return ""

    async def readiness(self) -> Readiness:
        return await self.health.readiness()

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        return self.counted.render(accept)

    async def tasks(self) -> dict[str, TaskDump]:
        return {"gateway": own_tasks()}


class _Status(msgspec.Struct):
    status: str
    seconds: float | msgspec.UnsetType = msgspec.UNSET


def vital_routes(vitals: Vitals) -> list[OperatorRoute]:
    """Open to everybody who reaches the listener."""

    async def live(_: web.Request) -> web.Response:
        reason = await vitals.liveness()
        return told(503, _Status(reason)) if reason else told(200, _Status("live"))

    async def ready(_: web.Request) -> web.Response:
        readiness = await vitals.readiness()
        if readiness.reason:
            seconds = round(readiness.seconds, 3) or msgspec.UNSET
            return told(503, _Status(readiness.reason, seconds))
        return told(200, _Status("ready"))

    async def metrics(request: web.Request) -> web.Response:
        page, content_type = await vitals.metrics(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={**NO_STORE, "Content-Type": content_type})

    return [
        OperatorRoute("GET", path, Audience.EVERYBODY, about, answer)
        for path, about, answer in (
            ("/live", "200 while the process runs, and all its workers do", live),
            ("/ready", "200, or 503 with the reason why no traffic should come here", ready),
            ("/metrics", "for Prometheus", metrics),
        )
    ]
