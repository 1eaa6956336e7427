"""Lists of a range of ids, as the contract has them; the recordings have none."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.demo.listing import Ranges
from gateway.demo.orchestrator import Costs, Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.tasks import CATALOGUE, Task
from tests.support.replay import Response, ask

OWN = Task("of-the-user", "64ac0b46c06feba9b89ad7a0", access_list=("acme-user@acme.test",))
OTHERS = Task("of-others", "64ac0b46c06feba9b89ad7a1", access_list=("somebody@acme.test",))
TASKS = (*CATALOGUE, OWN, OTHERS)
ENDED = "".join(
    f"&where[lifecycle][$in][]={state}"
    for state in ("finished", "terminated", "canceled", "expired", "completed")
)


async def _list(orchestrator: Orchestrator, query: str, token: str) -> Response:
    lines = f"GET /acme/job?{query} HTTP/1.1\r\nHost: demo\r\n"
    bearer = f"Authorization: Bearer {orchestrator.tokens[token]}\r\n\r\n"
    return await ask(orchestrator.url, (lines + bearer).encode())


def _ids(response: Response) -> list[str]:
    return [job["id"] for job in response.value]


def _range(oldest: str, newest: str) -> str:
    return f"where[_id][$gte]={oldest}&where[_id][$lte]={newest}"


async def test_range_lists_what_lies_between_its_bounds_both_included(
    orchestrator: Orchestrator,
) -> None:
    jobs = [orchestrator.create("held").id for _ in range(5)]
    found = await _list(orchestrator, _range(jobs[1].upper(), jobs[3]), "acme-user")
    assert _ids(found) == jobs[1:4]
    among = f"{_range(jobs[1], jobs[3])}&where[_id][$in][]={jobs[0]}&where[_id][$in][]={jobs[2]}"
    assert _ids(await _list(orchestrator, among, "acme-user")) == [jobs[2]]


async def test_ended_jobs_of_a_range_are_none_while_all_go_on(orchestrator: Orchestrator) -> None:
    jobs = [orchestrator.create("held").id for _ in range(4)]
    asked = _range(jobs[0], jobs[-1]) + ENDED
    assert (await _list(orchestrator, asked, "acme-user")).content == b"[]"
    orchestrator.finish(jobs[2])
    orchestrator.finish(jobs[1], lifecycle="terminated")
    assert _ids(await _list(orchestrator, asked, "acme-user")) == jobs[1:3]


@pytest.mark.parametrize(
    ("token", "sees"),
    [
        ("acme-owner", (OWN.name, OTHERS.name)),
        ("acme-admin", (OWN.name, OTHERS.name)),
        ("acme-integration", (OWN.name, OTHERS.name)),
        ("acme-user", (OWN.name,)),
        ("acme-viewer", ()),
    ],
)
async def test_list_has_what_the_token_may_see(token: str, sees: tuple[str, ...]) -> None:
    async with Orchestrator.serving(tasks=TASKS) as orchestrator:
        jobs = {name: orchestrator.create(name).id for name in (OWN.name, OTHERS.name)}
        orchestrator.create("globex-held", caller="globex-user")
        found = await _list(orchestrator, _range("0" * 24, "f" * 24), token)
        assert _ids(found) == [jobs[name] for name in sees]


async def test_bound_that_is_no_id_fails(orchestrator: Orchestrator) -> None:
    found = await _list(orchestrator, _range("xyz", "f" * 24), "acme-user")
    assert found.status_line.split()[1] == "500"


@pytest.mark.parametrize(("ranges", "status"), [(Ranges.REFUSED, "500"), (Ranges.IGNORED, "200")])
async def test_orchestrator_may_not_know_ranges(ranges: Ranges, status: str) -> None:
    async with Orchestrator.serving(ranges=ranges) as orchestrator:
        jobs = [orchestrator.create("held").id for _ in range(3)]
        found = await _list(orchestrator, _range(jobs[1], jobs[1]), "acme-user")
        assert found.status_line.split()[1] == status
        if ranges is Ranges.IGNORED:
            assert _ids(found) == jobs


async def test_answer_costs_by_what_it_lists_and_what_was_looked_at() -> None:
    costs = Costs(0.001, 0.000_1, 0.000_002)
    async with Orchestrator.serving(costs=costs) as orchestrator:
        jobs = [orchestrator.create("held").id for _ in range(10)]
        orchestrator.finish(jobs[4])
        await _list(orchestrator, _range(jobs[0], jobs[7]) + ENDED, "acme-user")
        spent: Mapping[Operation, float] = orchestrator.spent_seconds
        assert spent[Operation.LIST] == pytest.approx(0.001 + 0.000_1 + 8 * 0.000_002)
        assert spent[Operation.READ] == 0
