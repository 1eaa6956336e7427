"""A workflow's graph: which tasks follow when a task's job ends with an event. Pure.

``GET /workflows/:workflow`` has it, in the form of graphlib, in one of two versions:

    version 1    task ──► event "success" ──► task     events are nodes, named by their value
    version 2    task ──── "success" ───────► task     events are the values of edges
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVENTS_ARE_EDGES = 2
"""The version of the workflow."""
MAX_PARTS = 10_000
"""Nodes and edges of a graph, and followers in all, of which there may be as many as the square of
the edges. A larger one counts as none, so that nobody's graph is long work for the event loop."""


@dataclass(frozen=True, slots=True)
class Graph:
    start: str
    """The id of the first task; empty where the workflow names none."""
    followers: Mapping[tuple[str, str], tuple[str, ...]]
    """The tasks that follow, by task and event; ids are in lower case."""

    def after(self, task_id: str, event: str) -> tuple[str, ...]:
        """The tasks of which a job follows each time that a job of the task ends with the event;
        nothing follows a job without one."""
        return self.followers.get((task_id.lower(), event), ()) if event else ()


class _NodeValue(msgspec.Struct):
    name: object = None


class _Node(msgspec.Struct):
    v: str
    value: msgspec.Raw = msgspec.Raw(b"")


class _Edge(msgspec.Struct):
    v: str
    w: str
    value: object = None


class _Nodes(msgspec.Struct):
    nodes: list[_Node] = []
    edges: list[_Edge] = []


class _Workflow(msgspec.Struct):
    graph: _Nodes | None = None
    version: object = None
    start_task_id: object = None


_decoder = msgspec.json.Decoder(_Workflow)
_value_decoder = msgspec.json.Decoder(_NodeValue)


def parse_graph(content: bytes) -> Graph | None:
    """The graph of a workflow; None where the content is none, or has none, or too large a one."""
    try:
        workflow = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    graph = workflow.graph
    if graph is None or len(graph.nodes) + len(graph.edges) > MAX_PARTS:
        return None
    start = workflow.start_task_id if isinstance(workflow.start_task_id, str) else ""
    of_version = _labelled if workflow.version == _EVENTS_ARE_EDGES else _by_event_nodes
    followers = of_version(graph)
    if followers is None:
        return None
    return Graph(start.lower(), {of: tuple(tasks) for of, tasks in followers.items()})


def _labelled(graph: _Nodes) -> dict[tuple[str, str], list[str]] | None:
    followers = defaultdict[tuple[str, str], list[str]](list)
    for edge in graph.edges:
        if isinstance(edge.value, str):
            followers[edge.v.lower(), edge.value].append(edge.w.lower())
    return followers


def _by_event_nodes(graph: _Nodes) -> dict[tuple[str, str], list[str]] | None:
    """None where there are too many."""
    names = {node.v.lower(): _name(node) for node in graph.nodes}
    after = defaultdict[str, list[str]](list)
    for edge in graph.edges:
        after[edge.v.lower()].append(edge.w.lower())
    followers, count = defaultdict[tuple[str, str], list[str]](list), 0
    for edge in graph.edges:
        event = edge.w.lower()
        if after[event] and (name := names.get(event)):
            count += len(after[event])
            if count > MAX_PARTS:
                return None
            followers[edge.v.lower(), name] += after[event]
    return followers


def _name(node: _Node) -> str:
    try:
        name = _value_decoder.decode(node.value).name
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""
