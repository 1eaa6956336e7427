"""A workflow as it is defined: its tasks, and which event of one starts which others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.demo.sessions import ACME, Organization

if TYPE_CHECKING:
    from gateway.demo.tasks import Task

KEPT_RUNS = 5
"""So many ended jobs of a workflow survive, unless it says otherwise."""
LABELLED = 2
"""The version whose edges lead from task to task and are labelled with the event's name."""

_OPTIONS = {"directed": True, "multigraph": False, "compound": False}


@dataclass(frozen=True, slots=True)
class Step:
    """Where a job of ``task`` ends with ``event``, a job of ``next`` is created."""

    task: Task
    event: str
    next: Task


@dataclass(frozen=True, slots=True)
class Workflow:
    """``start`` is None where the workflow is empty: it cannot be started.

    ``version`` is None where the document has none, as those of older workflows. Any but 2 has
    nodes for events. The jobs of ``strays``, tasks that lack the workflow's id, do not belong to
    the workflow's job and nothing follows them.
    """

    name: str
    id: str
    start: Task | None
    steps: tuple[Step, ...] = ()
    version: int | None = LABELLED
    organization: Organization = ACME
    access_list: tuple[str, ...] = ("user", "viewer")
    strays: tuple[Task, ...] = ()
    kept_runs: int = KEPT_RUNS
    secret: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "secret", hashlib.sha256(self.id.encode()).hexdigest())

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Each task once, the first to run first."""
        named = [] if self.start is None else [self.start]
        for step in self.steps:
            named += [step.task, step.next]
        return tuple({task.id: task for task in named}.values())

    def after(self, task: Task, event: str) -> list[Task]:
        """The tasks that an event of a task starts."""
        return [step.next for step in self.steps if step.task.id == task.id and step.event == event]

    def graph(self) -> dict[str, Any]:
        """The graph as graphlib writes it: ``nodes`` of ``v`` and ``value``, ``edges`` of ``v``,
        ``w`` and ``value``."""
        nodes = [(task.id, {"id": task.id, "_type": task.type_name}) for task in self.tasks]
        if self.version == LABELLED:
            edges = [
                {"v": step.task.id, "w": step.next.id, "value": step.event} for step in self.steps
            ]
        else:
            events = {(step.task.id, step.event): event_id(step) for step in self.steps}
            nodes += [
                (found, {"id": found, "_type": "TaskEvent", "name": name, "emitter_id": task_id})
                for (task_id, name), found in events.items()
            ]
            edges = [{"v": task_id, "w": found} for (task_id, _), found in events.items()]
            edges += [{"v": event_id(step), "w": step.next.id} for step in self.steps]
        return {
            "options": _OPTIONS,
            "nodes": [{"v": node, "value": value} for node, value in nodes],
            "edges": edges,
        }


def event_id(step: Step) -> str:
    """The id of the event that a step waits for: the same for all steps that wait for it."""
    return hashlib.sha256(f"{step.task.id} {step.event}".encode()).hexdigest()[:24]
