import asyncio
from typing import Any

import pytest

from gateway.sync.workflows.graphs import (
    GRAPH_SECONDS,
    MAX_ASKED,
    MAX_GRAPH_BYTES,
    MAX_KEPT_BYTES,
    READ_SECONDS,
    RENEWAL_SECONDS,
    Graphs,
)
from tests.support.running_workflow import WORKFLOW_ID, A, B, RunningWorkflow, access, labelled
from tests.support.theeye import plenty
from tests.support.virtual_time import now

pytestmark = pytest.mark.virtual_time
PATH = f"/workflows/{WORKFLOW_ID}"
CHAIN = labelled((A, "success", B))


class Slow(RunningWorkflow):
    seconds = 0.1

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(self.seconds)
        return await super().request(*args, **kwargs)


def graphs_of(upstream: Any) -> Any:
    return Graphs(upstream, plenty(), now)


async def test_graph_is_read_once_for_all_who_wait() -> None:
    upstream = Slow(CHAIN)
    graphs = graphs_of(upstream)
    tokens = [access(bearer=f"t{number}") for number in range(50)]
    read = await asyncio.gather(*(graphs.of(token) for token in tokens))
    assert all(graph is not None and graph.after(A, "success") == (B,) for graph in read)
    assert upstream.paths() == [PATH]


async def test_graph_is_read_again_after_a_while() -> None:
    upstream = RunningWorkflow(CHAIN)
    graphs = graphs_of(upstream)
    await graphs.of(access())
    await asyncio.sleep(GRAPH_SECONDS + 1)
    await graphs.of(access())
    assert upstream.paths() == [PATH, PATH]


async def test_renewed_graph_is_the_one_of_now() -> None:
    upstream = RunningWorkflow(CHAIN)
    graphs = graphs_of(upstream)
    await graphs.of(access())
    upstream.workflow = labelled((A, "success", A))
    await asyncio.sleep(RENEWAL_SECONDS)
    renewed = await graphs.renewed(access())
    assert renewed is not None
    assert renewed.after(A, "success") == (A,)


async def test_graph_is_not_renewed_at_every_look() -> None:
    upstream = RunningWorkflow(CHAIN)
    graphs = graphs_of(upstream)
    for _ in range(20):
        await asyncio.sleep(RENEWAL_SECONDS / 10)
        await graphs.renewed(access())
    assert 1 <= len(upstream.asked) <= 4


@pytest.mark.parametrize(
    "refusal", [(401, b'"forbidden"'), (403, b""), (0, b""), (200, b"[]"), (200, b" " * 2_000_000)]
)
async def test_who_may_not_read_the_graph_gets_none_and_asks_seldom(refusal: Any) -> None:
    upstream = RunningWorkflow(CHAIN, refused={PATH: refusal})
    graphs = graphs_of(upstream)
    for _ in range(5):
        assert await graphs.of(access()) is None
    assert upstream.paths() == [PATH]


async def test_refused_token_keeps_no_other_from_the_graph() -> None:
    upstream = RunningWorkflow(CHAIN, refused={PATH: (403, b"")})
    graphs = graphs_of(upstream)
    assert await graphs.of(access()) is None
    upstream.refused.clear()
    assert await graphs.of(access(bearer="another")) is not None
    assert await graphs.of(access()) is not None


async def test_graph_that_cannot_be_renewed_stays() -> None:
    upstream = RunningWorkflow(CHAIN)
    graphs = graphs_of(upstream)
    await graphs.of(access())
    upstream.refused[PATH] = (503, b"")
    await asyncio.sleep(RENEWAL_SECONDS)
    assert await graphs.renewed(access()) is not None
    assert await graphs.renewed(access()) is not None
    assert len(upstream.asked) == 2


@pytest.mark.parametrize(
    ("task", "is_dead_end"),
    [
        ({"workflow_id": WORKFLOW_ID.upper()}, False),
        ({"workflow_id": "64f000000000000000000009"}, True),
        ({"workflow_id": None}, True),
        ({}, True),
        ([], False),
        (None, True),
    ],
)
async def test_task_that_cannot_follow_is_a_dead_end(task: Any, is_dead_end: Any) -> None:
    upstream = RunningWorkflow(CHAIN, tasks={B: task})
    graphs = graphs_of(upstream)
    assert await graphs.is_dead_end(access(), B) is is_dead_end
    assert await graphs.is_dead_end(access(), B) is is_dead_end
    assert upstream.paths() == [f"/acme/task/{B}"]


@pytest.mark.parametrize("refusal", [(403, b""), (0, b""), (500, b"")])
async def test_task_that_cannot_be_read_may_follow(refusal: Any) -> None:
    upstream = RunningWorkflow(CHAIN, refused={f"/acme/task/{B}": refusal})
    assert not await graphs_of(upstream).is_dead_end(access(), B)


async def test_those_who_may_not_read_the_graph_do_not_wait_for_each_other() -> None:
    upstream = Slow(CHAIN, refused={PATH: (403, b"")})
    graphs = graphs_of(upstream)
    tokens = [access(bearer=f"t{number % 50}") for number in range(500)]
    began = now()
    assert set(await asyncio.gather(*(graphs.of(token) for token in tokens))) == {None}
    assert now() - began < 0.3
    assert upstream.paths() == [PATH] * 50


async def test_one_who_leaves_while_it_reads_takes_nobody_with_it() -> None:
    graphs = graphs_of(Slow(CHAIN))
    async with asyncio.TaskGroup() as group:
        first, *others = [group.create_task(graphs.of(access())) for _ in range(3)]
        await asyncio.sleep(0.05)
        first.cancel()
    assert all(other.result() is not None for other in others)


async def test_graph_that_does_not_come_is_none() -> None:
    upstream = Slow(CHAIN)
    upstream.seconds = READ_SECONDS + 60
    graphs = graphs_of(upstream)
    assert await graphs.of(access()) is None
    assert now() <= READ_SECONDS + 1


async def test_large_graphs_push_each_other_out() -> None:
    upstream = RunningWorkflow(CHAIN | {"description": "x" * (MAX_GRAPH_BYTES - 2000)})
    graphs = graphs_of(upstream)
    customers = [f"of-{number}" for number in range(MAX_KEPT_BYTES // MAX_GRAPH_BYTES + 1)]
    for customer in customers:
        assert await graphs.of(access(customer)) is not None
    await graphs.of(access(customers[0]))
    assert len(upstream.asked) == len(customers) + 1
    await graphs.of(access(customers[-1]))
    assert len(upstream.asked) == len(customers) + 1


@pytest.mark.parametrize("task_id", ["", "../../x?y", f"{B} HTTP/1.1\r\nHost: x\r\n\r\n", f"{B}/"])
async def test_nothing_is_asked_of_what_is_no_id(task_id: Any) -> None:
    upstream = RunningWorkflow(CHAIN)
    assert await graphs_of(upstream).is_dead_end(access(), task_id)
    assert upstream.asked == []


async def test_all_of_some_tasks_must_be_dead_ends() -> None:
    upstream = RunningWorkflow(CHAIN, tasks={B: {"workflow_id": WORKFLOW_ID}})
    graphs = graphs_of(upstream)
    assert await graphs.are_dead_ends(access(), [A, ""])
    assert not await graphs.are_dead_ends(access(), [A, B])


async def test_of_very_many_tasks_nothing_is_asked() -> None:
    upstream = RunningWorkflow(CHAIN)
    many = [f"{number:024x}" for number in range(MAX_ASKED + 1)]
    assert not await graphs_of(upstream).are_dead_ends(access(), many)
    assert upstream.asked == []
    assert await graphs_of(upstream).are_dead_ends(access(), many[1:])


async def test_task_is_asked_for_once_by_all_who_wait() -> None:
    upstream = Slow(CHAIN)
    graphs = graphs_of(upstream)
    assert all(await asyncio.gather(*(graphs.is_dead_end(access(), B) for _ in range(100))))
    assert upstream.paths() == [f"/acme/task/{B}"]
