"""What the page shows at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gateway.ops.glances.glance import CallerRow, FailureRow, TaskRow, Waits
from gateway.ops.glances.together import together
from gateway.ops.page.pace import Pace, Point

if TYPE_CHECKING:
    from gateway.ops.glances.glance import Figures
    from gateway.ops.glances.sights import Sights


class StoreRow(msgspec.Struct):
    """Something that is kept in memory."""

    name: str
    entries: int | None
    bytes: int | None


class LinkRow(msgspec.Struct):
    """What Redis is used for, in how many of the processes it works, and in how many it should."""

    name: str
    up: int
    processes: int


class PageSnapshot(msgspec.Struct):
    version: str
    at: float
    """Seconds since 1970; 0 where no process answers."""
    seconds: float
    """How long the gateway has run."""
    is_draining: bool
    trouble: str
    """What is wrong with the upstream, empty if nothing is."""
    processes: int
    answering: int
    """Processes that should answer, and those that do."""
    point: Point | None
    waits: Waits
    tasks: list[TaskRow]
    callers: list[CallerRow]
    failures: list[FailureRow]
    stores: list[StoreRow]
    links: list[LinkRow]


class _Store(NamedTuple):
    name: str
    entries: str = ""
    bytes: str = ""
    """Metrics; where there is no such metric there is no such store."""


STORES = (
    _Store("Connections of clients", "gateway_connections_open"),
    _Store("Jobs and results under way", bytes="gateway_buffered_bytes"),
    _Store("Results kept", "gateway_results_kept", "gateway_results_kept_bytes"),
    _Store("Jobs followed", "gateway_jobs_followed"),
    _Store("Jobs tied to their clients", "gateway_jobs_tethered"),
    _Store("Idempotency keys", "gateway_idempotency_keys"),
    _Store("Tokens remembered", "gateway_tokens_kept"),
    _Store("Budgets", "gateway_budgets_kept"),
)
LINKS = {
    "Budgets in Redis": "gateway_redis_answering",
    "Ends of jobs by Redis": "gateway_push_connected",
}


class PageSnapshots:
    """Makes them; rates are of the time since the one before."""

    def __init__(self, version: str, sights: Sights) -> None:
        self._version = version
        self._sights = sights
        self._pace = Pace()

    async def next(self) -> PageSnapshot:
        """What is to be seen now."""
        sights = self._sights
        glances = await sights.glances()
        whole = together(glances.values())
        return PageSnapshot(
            version=self._version,
            at=whole.at,
            seconds=whole.seconds,
            is_draining=sights.is_draining,
            trouble=whole.trouble,
            processes=sights.processes,
            answering=len(glances),
            point=self._pace.point(glances, whole.at),
            waits=whole.waits,
            tasks=whole.tasks,
            callers=whole.callers,
            failures=whole.failures,
            stores=_stores(whole.figures),
            links=_links(whole.figures, len(glances)),
        )


def _stores(figures: Figures) -> list[StoreRow]:
    rows = [
        StoreRow(store.name, _whole(figures, store.entries), _whole(figures, store.bytes))
        for store in STORES
    ]
    return [row for row in rows if row.entries is not None or row.bytes is not None]


def _links(figures: Figures, processes: int) -> list[LinkRow]:
    return [
        LinkRow(name, round(sum(figures[metric].values())), processes)
        for name, metric in LINKS.items()
        if metric in figures
    ]


def _whole(figures: Figures, metric: str) -> int | None:
    values = figures.get(metric)
    return round(sum(values.values())) if values else None
