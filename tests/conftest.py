"""What the tests of several parts share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from gateway.demo.orchestrator import Orchestrator
from tests.support.redis_server import RedisServer, redis_serving
from tests.support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The one event loop of a test: its clock jumps where the test is marked ``virtual_time``."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture
async def orchestrator() -> AsyncIterator[Orchestrator]:
    """An embedded orchestrator on a free port."""
    async with Orchestrator.serving() as serving:
        yield serving


@pytest.fixture
async def redis_server() -> AsyncIterator[RedisServer]:
    """A real redis-server on a free port; skips where it is not installed, but never in CI."""
    async with redis_serving() as serving:
        yield serving


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """What one test has this process log by is not what the next one logs by."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


# How fast a machine is decides no test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
