"""What one connection may take of an iteration of the event loop while it is answered."""

from __future__ import annotations

import pytest

from tests.downstream.test_inbound import Iterations
from tests.support.harness import connected, gateway_before

LIMITS = {"mode": "enforce", "other": {"per_second": 0.001, "burst": 1, "content_bytes": 1024}}
REQUEST = b"GET /p HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("field", [b"", b"Authorization: Bearer made.up\r\n"])
async def test_requests_that_are_refused_from_memory_leave_the_others_a_turn(field: bytes) -> None:
    requests, head = 2000, b""
    async with (
        gateway_before("http://127.0.0.1:9", limits=LIMITS) as server,
        connected(server.url) as client,
        Iterations.counted() as iterations,
    ):
        await client.send((REQUEST + field + b"\r\n") * requests)
        for _ in range(requests):
            head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 429 ")
        assert iterations.count > requests
