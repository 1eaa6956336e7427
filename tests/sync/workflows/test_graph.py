import json
from typing import Any

import pytest

from gateway.sync.workflows.graph import MAX_PARTS, parse_graph
from tests.support.running_workflow import A, B, C, labelled, with_event_nodes

FORK = ((A, "success", B), (A, "success", C), (A, "failure", C))


@pytest.mark.parametrize("made", [labelled, with_event_nodes])
class TestBothVersions:
    def test_tasks_behind_an_event_follow(self, made: Any) -> None:
        graph = parse_graph(json.dumps(made(*FORK)).encode())
        assert graph is not None
        assert graph.start == A
        assert sorted(graph.after(A, "success")) == [B, C]
        assert graph.after(A, "failure") == (C,)

    def test_nothing_follows_another_event_another_task_or_none(self, made: Any) -> None:
        graph = parse_graph(json.dumps(made(*FORK)).encode())
        assert graph is not None
        assert graph.after(A, "other") == ()
        assert graph.after(B, "success") == ()
        assert graph.after(A, "") == ()

    def test_case_of_ids_does_not_matter(self, made: Any) -> None:
        graph = parse_graph(json.dumps(made((A.upper(), "success", B.upper()))).encode())
        assert graph is not None
        assert graph.after(A, "success") == (B,)

    def test_loop_leads_back(self, made: Any) -> None:
        graph = parse_graph(json.dumps(made((A, "again", A), (A, "success", B))).encode())
        assert graph is not None
        assert graph.after(A, "again") == (A,)


def test_event_node_without_a_task_behind_it_leads_nowhere() -> None:
    workflow = with_event_nodes((A, "success", B))
    workflow["graph"]["nodes"].append({"v": "e", "value": {"name": "failure"}})
    workflow["graph"]["edges"].append({"v": A, "w": "e"})
    graph = parse_graph(json.dumps(workflow).encode())
    assert graph is not None
    assert graph.after(A, "failure") == ()


def test_nodes_whose_values_are_anything_are_no_events() -> None:
    workflow = with_event_nodes((A, "success", B))
    for node, value in zip(workflow["graph"]["nodes"], [None, 1, {"name": 1}, "x"], strict=False):
        node["value"] = value
    graph = parse_graph(json.dumps(workflow).encode())
    assert graph is not None
    assert graph.after(A, "success") == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"graph":null}', b'{"graph":[]}', b'{"graph":{"nodes":[1]}}', b"\xff"],
)
def test_what_has_no_graph_is_none(content: Any) -> None:
    assert parse_graph(content) is None


def test_empty_graph_is_one() -> None:
    graph = parse_graph(b'{"graph":{},"start_task_id":1}')
    assert graph is not None
    assert (graph.start, graph.after(A, "success")) == ("", ())


def edges(count: Any, one: Any) -> Any:
    return {"graph": {"edges": [one(number) for number in range(count)]}, "version": 2}


@pytest.mark.parametrize("version", [1, 2])
def test_graph_of_very_many_parts_counts_as_none(version: Any) -> None:
    workflow = edges(MAX_PARTS + 1, lambda _: {"v": "a", "w": "a", "value": "x"})
    assert parse_graph(json.dumps(workflow | {"version": version}).encode()) is None


def test_graph_of_many_edges_is_one() -> None:
    workflow = edges(MAX_PARTS, lambda number: {"v": "a", "w": str(number), "value": "x"})
    graph = parse_graph(json.dumps(workflow).encode())
    assert graph is not None
    assert len(graph.after("a", "x")) == MAX_PARTS


def test_followers_that_grow_with_the_square_of_the_edges_count_as_none() -> None:
    workflow = edges(4000, lambda n: {"v": f"{n}", "w": "e"} if n % 2 else {"v": "e", "w": f"{n}"})
    workflow["graph"]["nodes"] = [{"v": "e", "value": {"name": "success"}}]
    assert parse_graph(json.dumps(workflow | {"version": 1}).encode()) is None
