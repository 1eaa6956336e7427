"""What the recordings do not show of the routes."""

from __future__ import annotations

import pytest

from gateway.demo.orchestrator import Orchestrator
from tests.support.replay import ask


async def _get(orchestrator: Orchestrator, target: str, token: str) -> tuple[str, object]:
    lines = f"GET {target} HTTP/1.1\r\nHost: demo\r\nAuthorization: Bearer {token}\r\n\r\n"
    response = await ask(orchestrator.url, lines.encode())
    return response.status_line.split()[1], response.value


async def test_input_is_told_with_its_definitions_when_asked_for(
    orchestrator: Orchestrator,
) -> None:
    job = orchestrator.create("echo", "a", None, "c")
    target = f"/job/{job.id}/input?include_definitions=true"
    status, value = await _get(orchestrator, target, orchestrator.tokens["acme-user"])
    assert status == "200"
    assert isinstance(value, dict)
    assert value["task_arguments_values"] == ["a", None, "c"]
    assert [one["label"] for one in value["task"]["task_arguments"]] == ["arg0", "arg1", "arg2"]


@pytest.mark.parametrize(
    ("token", "status"), [("acme-viewer", "200"), ("acme-manager", "403"), ("globex-admin", "404")]
)
async def test_output_is_only_for_those_who_may_use_the_task(
    orchestrator: Orchestrator, token: str, status: str
) -> None:
    job = orchestrator.create("held")
    found, _ = await _get(orchestrator, f"/job/{job.id}/output", orchestrator.tokens[token])
    assert found == status


async def test_secret_route_takes_no_wrong_secret(orchestrator: Orchestrator) -> None:
    task = orchestrator.tasks["instant"]
    statuses = []
    for secret in (task.secret, orchestrator.tasks["held"].secret):
        lines = f"POST /task/{task.id}/secret/{secret}/job HTTP/1.1\r\nHost: demo\r\n\r\n"
        statuses.append((await ask(orchestrator.url, lines.encode())).status_line.split()[1])
    assert statuses == ["200", "403"]
