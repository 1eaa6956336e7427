"""The graph of a workflow, in both of its versions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.workflows import chain, empty, fork, loop


def led_to(graph: dict[str, Any], task_id: str, event: str) -> set[str]:
    """The tasks after an event, as TheEye reads a graph with nodes for events."""
    names = {node["v"]: node["value"] for node in graph["nodes"]}
    events = {
        edge["w"]
        for edge in graph["edges"]
        if edge["v"] == task_id and names[edge["w"]].get("name") == event
    }
    return {edge["w"] for edge in graph["edges"] if edge["v"] in events}


def test_edges_of_version_2_lead_from_task_to_task_and_name_the_event() -> None:
    workflow = chain(3)
    first, second, third = (task.id for task in workflow.tasks)
    graph = workflow.graph()
    assert graph["options"] == {"directed": True, "multigraph": False, "compound": False}
    assert [node["v"] for node in graph["nodes"]] == [first, second, third]
    assert graph["nodes"][0]["value"] == {"id": first, "_type": "ScriptTask"}
    assert graph["edges"] == [
        {"v": first, "w": second, "value": "success"},
        {"v": second, "w": third, "value": "success"},
    ]


@pytest.mark.parametrize("version", [None, 1])
def test_older_graphs_have_nodes_for_events(version: int | None) -> None:
    workflow = fork(version=version)
    root, left, right = workflow.tasks
    graph = workflow.graph()
    (event,) = [node for node in graph["nodes"] if node["value"]["_type"] == "TaskEvent"]
    assert event["value"] == {
        "id": event["v"],
        "_type": "TaskEvent",
        "name": "success",
        "emitter_id": root.id,
    }
    assert not any("value" in edge for edge in graph["edges"])
    assert led_to(graph, root.id, "success") == {left.id, right.id}
    assert led_to(graph, root.id, "failure") == set()


def test_task_of_a_loop_is_there_once_and_leads_to_itself() -> None:
    workflow = loop(version=1)
    again, done = workflow.tasks
    assert led_to(workflow.graph(), again.id, "failure") == {again.id}
    assert workflow.after(again, "success") == [done]
    assert workflow.after(done, "success") == []


def test_empty_workflow_has_an_empty_graph() -> None:
    graph = empty().graph()
    assert (graph["nodes"], graph["edges"]) == ([], [])
