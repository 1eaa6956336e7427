"""Usual run times of the jobs of a task, learned from those that were waited for. Pure.

Of a task only its last runs count, so that what changed is soon forgotten. Who can run a task can
teach wrong times about this task alone: the key is the organization and the task as the upstream
names them in the job. What is learned only moves polls within the bounds that ``intervals`` sets.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from cachetools import TTLCache

if TYPE_CHECKING:
    from collections.abc import Callable

TaskKey = tuple[str, str]
"""The organization's name and the task's id."""

MAX_TASKS = 1024
LAST_TASKS = 100
"""Operators are told of so many."""
MAX_RUN_SECONDS = 86_400.0
FORGET_SECONDS = 86_400.0
"""A task of which no run was seen for so long is forgotten."""
_RUNS = 20
_TRUSTED_RUNS = 5
_LEAST_DEVIATION = 0.1
"""Least deviation of the logarithm: runs that seemed equal may differ by a tenth either way."""
_DEVIATIONS = 1.645
"""Nineteen of twenty runs take longer than the mean less so many, one of twenty than it plus so
many."""
_TOLERANCE = 0.1
"""Share of its run time by which the quickest of twenty may be noticed late."""
_SHORTEST = 0.001
_RETRY_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Usual:
    """The ages, in seconds, between which most jobs of the task end."""

    early: float
    late: float


@dataclass(frozen=True, slots=True)
class TaskRuns:
    """What is known of a task: how long its last runs took, in seconds, the last one last."""

    task: TaskKey
    seconds: tuple[float, ...]
    usual: Usual | None


@dataclass(slots=True)
class _Runs:
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_RUNS))
    jobs: deque[str] = field(default_factory=lambda: deque(maxlen=_RUNS))
    usual: Usual | None = None


class History:
    """``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._tasks: TTLCache[TaskKey, _Runs] = TTLCache(MAX_TASKS, FORGET_SECONDS, clock)
        self._last: dict[TaskKey, None] = {}
        """Tasks of which a run was learned last, the last one last."""

    def __len__(self) -> int:
        return len(self._tasks)

    def learn(self, task: TaskKey, job_id: str, seconds: float) -> None:
        """A job has run for ``seconds``. It counts once, however many waited for it."""
        if not 0 <= seconds <= MAX_RUN_SECONDS:
            return
        runs = self._tasks.get(task) or _Runs()
        if job_id in runs.jobs:
            return
        runs.jobs.append(job_id)
        runs.seconds.append(max(seconds, _SHORTEST))
        runs.usual = usual(runs.seconds)
        self._tasks[task] = runs
        self._last.pop(task, None)
        self._last[task] = None
        if len(self._last) > LAST_TASKS:
            del self._last[next(iter(self._last))]

    def last(self, most: int) -> list[TaskRuns]:
        """The tasks of which a run was learned last, ``LAST_TASKS`` or ``most`` at most, the last
        one first."""
        known = ((task, self._tasks.get(task)) for task in islice(reversed(self._last), most))
        return [
            TaskRuns(task, tuple(runs.seconds), runs.usual)
            for task, runs in known
            if runs is not None
        ]

    def usual(self, task: TaskKey | None) -> Usual | None:
        """Ages at which jobs of this task usually end; None where too little is known."""
        runs = self._tasks.get(task) if task is not None else None
        return runs.usual if runs is not None else None


def retry_seconds(age_seconds: float, usual: Usual | None) -> int:
    """When to look next for a job of that age, in whole seconds from now, 1 at least: at the time
    that such jobs usually take, and after that in a tenth of its age."""
    typical = math.sqrt(usual.early * usual.late) if usual is not None else 0.0
    wanted = typical - age_seconds if age_seconds < typical else age_seconds * _RETRY_SHARE
    return max(1, math.ceil(wanted))


def usual(seconds: deque[float]) -> Usual | None:
    """Run times scatter by factors, so their logarithms are what is averaged."""
    if len(seconds) < _TRUSTED_RUNS:
        return None
    logarithms = [math.log(run) for run in seconds]
    mean = math.fsum(logarithms) / len(logarithms)
    variance = math.fsum((one - mean) ** 2 for one in logarithms) / (len(logarithms) - 1)
    spread = _DEVIATIONS * max(math.sqrt(variance), _LEAST_DEVIATION)
    return Usual(math.exp(mean - spread + _TOLERANCE), math.exp(mean + spread))
