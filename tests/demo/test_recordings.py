"""The embedded orchestrator answers as the recorded async-only version did."""

from __future__ import annotations

import pytest

from gateway.demo.orchestrator import Orchestrator
from tests.support.replay import TASKS, Replay, exchanges_of, scenarios

DIFFERENCES = {
    (
        "create_async_ordered_arguments",
        0,
    ): "objects as arguments end TheEye's job at once; here they are arguments like any other",
    ("job_output_routes", 3): "participants are nothing the gateway or the demo asks for",
    ("listing", 8): "lists are not sorted on request",
    ("listing", 9): "nothing is populated",
    ("listing", 10): "no operators but $in",
}
"""Where it knowingly does not: scenario and number of the exchange, and why."""


@pytest.mark.parametrize("scenario", scenarios())
async def test_orchestrator_answers_as_recorded(scenario: str) -> None:
    exchanges = exchanges_of(scenario)
    async with Orchestrator.serving(tasks=TASKS) as orchestrator:
        replay = Replay(orchestrator, exchanges)
        found = {
            (scenario, number): differences
            for number, exchange in enumerate(exchanges)
            if (differences := await replay.differences(exchange))
        }
    assert found.keys() == {key for key in DIFFERENCES if key[0] == scenario}, found
