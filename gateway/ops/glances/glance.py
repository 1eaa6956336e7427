"""The records of what operators see of one process. Times are seconds since 1970.

All text in them is visible ASCII, bounded, and without secrets; the tables are bounded too.
"""

from __future__ import annotations

from typing import Final

import msgspec

WAITS: Final = 100
"""Rows of a snapshot; the table of waits has half of them for the oldest, half for the newest."""
LISTED_WAITS: Final = 1000
"""Rows of ``/waits``."""
TASKS: Final = 50
CALLERS: Final = 25
FAILURES: Final = 50

Figures = dict[str, dict[str, float]]
"""Values of metrics by their samples' names, and by their labels' values, joined by spaces."""


class WaitRow(msgspec.Struct):
    """A client that waits."""

    job_id: str
    organization: str
    """The job's as the orchestrator names it, or the token's where that is verified."""
    task: str
    """Its id, empty where it is not known."""
    token_hash: str
    request_id: str
    hop: int
    """How many requests of the wait were before this one."""
    since: float
    """When the client began to wait, and when this request did."""
    held_since: float
    look: str
    """How the job is looked for, a ``Cover``; empty where it has ended."""
    unended_at: float | None
    """When it was last seen not to have ended."""


class Waits(msgspec.Struct):
    """All waits by number, and rows of some."""

    count: int
    rows: list[WaitRow]


class TaskRow(msgspec.Struct):
    """A task's last run times, in seconds."""

    organization: str
    task: str
    runs: int
    last: float
    median: float
    early: float | None
    """Most of its jobs end between these ages; None where too few were seen."""
    late: float | None


class CallerRow(msgspec.Struct):
    """A caller's requests that ended within the last minute."""

    token_hash: str
    """Empty for callers without a token: then there is an address."""
    address: str
    organization: str
    """Empty where it is not verified."""
    requests: int
    refused: int
    """Those that did not get what they asked for by the gateway's doing."""


class FailureRow(msgspec.Struct):
    """A request that failed."""

    at: float
    request_id: str
    kind: str
    method: str
    target: str
    """With secrets masked."""
    status: int
    reason: str
    upstream_status: int
    job_id: str
    token_hash: str
    organization: str
    user_agent: str


class Glance(msgspec.Struct):
    """One process at one moment."""

    at: float
    seconds: float
    """How long it has run."""
    trouble: str
    """What is wrong with the upstream, empty if nothing is."""
    figures: Figures
    waits: Waits
    tasks: list[TaskRow]
    callers: list[CallerRow]
    failures: list[FailureRow]
