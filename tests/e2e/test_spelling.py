"""One token, however it is spelled and wherever it stands: no more for it than its budget."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.harness import gateway_before, once
from tests.support.upstream import upstream_answering

if TYPE_CHECKING:
    from gateway.demo.orchestrator import Orchestrator

BURST = 4
RATE = {"per_second": 0.01, "burst": BURST, "content_bytes": 65536}
"""So slow that no test sees a refill."""
LIMITS = {"mode": "enforce", "create": RATE, "result": RATE, "other": {**RATE, "burst": 400}}


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
async def test_rfc_9110_7_6_1_connection_cannot_hide_a_made_up_token_from_the_orchestrator(
    orchestrator: Orchestrator, option: bytes
) -> None:
    """What is judged here reaches the next hop."""
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


async def test_one_token_has_one_budget_however_it_is_spelled(orchestrator: Orchestrator) -> None:
    """TheEye writes the token unescaped into the address at which it looks it up."""
    token = orchestrator.tokens["acme-user"]
    escaped = f"%{ord(token[0]):02x}{token[1:]}"
    twice = escaped.replace("%", "%25")
    spellings = [f"access_token={token}%26x={number}" for number in range(8)]
    spellings += [f"access_token={token}%23{number}" for number in range(8)]
    spellings += [
        f"access_token={token[:number]}%25{ord(token[number]):02x}{token[number + 1 :]}"
        for number in range(8)
    ]
    spellings += [f"[access_token]={token}", f"%5Baccess_token%5D%5B%5D={token}"]
    spellings += [
        f"access_token[]={escaped}",
        f"access_token[0]={twice}",
        f"[access_token]x={token}",
    ]
    async with gateway_before(orchestrator.url, limits=limits(anonymous_share=0.5)) as server:
        seen = await statuses(
            server.url,
            [creating(orchestrator, spelling, b"") for spelling in spellings]
            + [
                creating(orchestrator, "", b"", b"Authorization: Bearer %b" % escaped.encode()),
                creating(orchestrator, "", b"", b"Authorization: Bearer %b&1" % token.encode()),
            ],
        )
    # The token's own budget and that of the address.
    assert seen.count(200) == len(list(orchestrator.jobs)) <= BURST + BURST // 2
    assert set(seen) == {200, 429}


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/json", '{{"access_token": "{}"}}'),
        ("application/x-www-form-urlencoded", "[access_token]={}"),
    ],
)
async def test_token_in_the_content_costs_what_its_address_may_do(
    orchestrator: Orchestrator, content_type: str, content: str
) -> None:
    token = orchestrator.tokens["acme-user"]
    message = creating(
        orchestrator,
        "",
        content.format(token).encode(),
        b"Content-Type: " + content_type.encode(),
    )
    decoys = [b"access_token=a]=x", b"access_token[toString]=x", b"access%5Ftoken%zz=x"]
    async with gateway_before(orchestrator.url, limits=limits(anonymous_share=0.5)) as server:
        seen = await statuses(server.url, [message] * 2)
        seen += await statuses(
            server.url,
            [
                message.replace(b"job? ", b"job?%b%d " % (decoy, n))
                for decoy in decoys
                for n in range(4)
            ],
        )
        assert len(server._gateway._pipeline._checks._identities._known) == 0
    assert seen == [200] * (BURST // 2) + [429] * 12


@pytest.mark.parametrize(
    "path", ["//a@b/api", "/\\api", "/API", "/api;x", "/%61pi%2Fstatus", "/job%5Csecret%5Cx"]
)
async def test_answer_that_may_have_needed_no_token_accepts_none(path: str) -> None:
    async with (
        upstream_answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as script,
        gateway_before(script.url) as server,
    ):
        message = b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer made-up\r\n\r\n"
        assert await statuses(server.url, [message % path.encode()]) == [200]
        identities = server._gateway._pipeline._checks._identities
        assert len(identities._known) == 0
        assert await statuses(server.url, [message % b"/acme/job"]) == [200]
        assert len(identities._known) == 1
