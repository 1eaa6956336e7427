"""The embedded orchestrator answers as the recorded versions did."""

from __future__ import annotations

import pytest

from gateway.demo.versions import Version
from tests.support.replay import Replay, exchanges_of, recorded_orchestrator, scenarios

DIFFERENCES = {
    (
        "create_async_ordered_arguments",
        0,
    ): "objects as arguments end TheEye's job at once; here they are arguments like any other",
    ("job_output_routes", 3): "participants are nothing the gateway or the demo asks for",
    ("listing", 9): "nothing is populated",
    ("listing", 10): "no operators but $in",
}
"""Where it knowingly does not: scenario and number of the exchange, and why."""


OF_LATER_VERSIONS = {
    ("workflow_job", 8): "the result routes of later versions are the gateway's own",
}
ALL = [(version, scenario) for version in Version for scenario in scenarios(version)]


@pytest.mark.parametrize(("version", "scenario"), ALL)
async def test_orchestrator_answers_as_recorded(version: Version, scenario: str) -> None:
    exchanges = exchanges_of(scenario, version)
    known = DIFFERENCES if version is Version.ASYNC_ONLY else OF_LATER_VERSIONS
    async with recorded_orchestrator(version) as orchestrator:
        replay = Replay(orchestrator, exchanges, version=version)
        found = {
            (scenario, number): differences
            for number, exchange in enumerate(exchanges)
            if (differences := await replay.differences(exchange))
        }
    assert found.keys() == {key for key in known if key[0] == scenario}, found
