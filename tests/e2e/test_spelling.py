"""One token, however it is spelled and wherever it stands: no more for it than its budget."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.harness import gateway_before, once

if TYPE_CHECKING:
    from gateway.demo.orchestrator import Orchestrator

BURST = 4
RATE = {"per_second": 0.01, "burst": BURST, "content_bytes": 65536}
"""So slow that no test sees a refill."""
LIMITS = {"mode": "enforce", "create": RATE, "result": RATE, "other": RATE}


def limits(**given: Any) -> dict[str, Any]:
    return {**LIMITS, "anonymous_share": 1.0, **given}


def creating(orchestrator: Orchestrator, query: str, content: bytes, *fields: bytes) -> bytes:
    target = f"/task/{orchestrator.tasks['held'].id}/job?{query}".encode()
    length = b"Content-Length: %d" % len(content)
    lines = [b"POST %b HTTP/1.1" % target, b"Host: x", length, *fields, b"", content]
    return b"\r\n".join(lines)


async def statuses(url: str, messages: list[bytes]) -> list[int]:
    return [int((await once(url, message))[0].split(b" ", 2)[1]) for message in messages]


@pytest.mark.parametrize(
    "option", [b"authorization", b"close, AUTHORIZATION", b"keep-alive,Authorization"]
)
async def test_connection_cannot_hide_a_made_up_token_from_the_orchestrator(
    orchestrator: Orchestrator, option: bytes
) -> None:
    """RFC 9110, 7.6.1: what is judged here reaches the next hop."""
    content = json.dumps({"access_token": orchestrator.tokens["acme-user"]}).encode()
    async with gateway_before(orchestrator.url, limits=limits()) as server:
        seen = await statuses(
            server.url,
            [
                creating(
                    orchestrator,
                    "",
                    content,
                    b"Content-Type: application/json",
                    b"Authorization: Bearer made-up-%d" % number,
                    b"Connection: " + option,
                )
                for number in range(3 * BURST)
            ],
        )
    assert set(seen) <= {401, 429}
    assert list(orchestrator.jobs) == []
