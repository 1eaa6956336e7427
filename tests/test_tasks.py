import asyncio
import logging

import pytest

from gateway.errors import BadGateway
from gateway.tasks import Tasks
from tests.virtual_time import now, run


def test_owner_cancels_what_still_runs_when_closed() -> None:
    async def scenario() -> None:
        tasks = Tasks()
        task = tasks.spawn(asyncio.sleep(60), name="long")
        await tasks.aclose()
        assert task.cancelled()
        assert len(tasks) == 0
        assert now() == 0

    run(scenario())


def test_owner_lets_tasks_end_by_themselves_within_the_grace() -> None:
    async def scenario() -> None:
        tasks = Tasks()
        short, long = (tasks.spawn(asyncio.sleep(s, s), name="sleep") for s in (2, 60))
        await tasks.aclose(grace_seconds=5)
        assert short.result() == 2
        assert long.cancelled()
        assert now() == 5

    run(scenario())


@pytest.mark.parametrize(("failure", "logged"), [(KeyError("x"), 1), (BadGateway("no"), 0)])
def test_only_unexpected_failures_are_logged(
    failure: Exception, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise failure

    async def scenario() -> None:
        tasks = Tasks()
        tasks.spawn(fail(), name="failing")
        await asyncio.sleep(0.01)
        await tasks.aclose()

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert len(caplog.records) == logged
