"""What the tests of several parts share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.demo.orchestrator import Orchestrator


@pytest.fixture
async def orchestrator() -> AsyncIterator[Orchestrator]:
    """An embedded orchestrator on a free port."""
    async with Orchestrator.serving() as serving:
        yield serving
