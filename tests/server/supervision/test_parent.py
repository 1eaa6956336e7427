"""Whether there are several workers at all, and how they start."""

from __future__ import annotations

import os
import signal

import pytest

from gateway.config.effective import Effective
from gateway.server.supervision.parent import serve, usable_processors
from tests.support.harness import process, process_before, settings
from tests.support.processes import children_of, workers_of
from tests.support.replay import until


def test_one_for_each_processor_that_may_be_used() -> None:
    assert usable_processors() == len(os.sched_getaffinity(0))


def test_processors_are_all_counted_where_they_cannot_be_kept_from() -> None:
    assert usable_processors(None) == os.cpu_count()


async def test_single_processor_takes_no_supervisor() -> None:
    processors = os.sched_getaffinity(0)
    # A process that is started is kept to the processors of the one that starts it.
    os.sched_setaffinity(0, {min(processors)})
    try:
        starting = process_before("http://127.0.0.1:9", "--workers", "0")
        gateway = await starting.__aenter__()
    finally:
        os.sched_setaffinity(0, processors)
    assert workers_of(gateway) == []
    gateway.signal(signal.SIGTERM)
    assert await gateway.ended() == 0


@pytest.mark.parametrize("program", ["/bin/false", "/missing"])
def test_workers_that_cannot_start_end_it_with_status_1(
    program: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = settings("http://127.0.0.1:9", listen={"workers": 2})
    assert serve(Effective(config), python=program) == 1
    assert caplog.messages[-1] == "a worker did not start"
    assert [text for text in caplog.messages if "do not share idempotency keys" in text]


async def test_end_during_the_start_is_no_failure_to_start() -> None:
    """Signals for all processes reach some of them first."""
    free = {"listen__host": "127.0.0.1", "listen__port": "0", "admin__port": "0"}
    async with process("--workers", "2", upstream__url="http://127.0.0.1:9", **free) as gateway:
        pid = gateway.running.pid
        await until(lambda: children_of(pid) != [])
        [zygote] = children_of(pid)
        os.kill(zygote, signal.SIGKILL)
        await gateway.until_told("worker 1 could not be started")
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert "did not start" not in gateway.told
