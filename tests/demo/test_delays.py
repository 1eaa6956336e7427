from __future__ import annotations

import asyncio

import pytest

from gateway.demo.delays import Delays


@pytest.mark.virtual_time
async def test_each_is_done_in_its_time_and_none_after_a_stop() -> None:
    done: list[str] = []
    delays = Delays()
    for seconds, name in ((2.0, "later"), (1.0, "soon"), (3.0, "never")):
        delays.after(seconds, lambda name=name: done.append(name))  # type: ignore[misc]
    await asyncio.sleep(2.5)
    delays.stop()
    await asyncio.sleep(5)
    assert done == ["soon", "later"]
