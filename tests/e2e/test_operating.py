"""What an operator reads on stderr and on the operators' listener."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway import __version__
from gateway.admission.identity.token import token_hash
from tests.support.harness import connected, process_before

if TYPE_CHECKING:
    from gateway.demo.orchestrator import Orchestrator


@pytest.mark.parametrize("workers", [1, 2])
async def test_start_is_told_with_what_runs(
    workers: int, tmp_path: Path, orchestrator: Orchestrator
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[limits]\nmode = "report"\n')
    arguments = ("--config", str(file), "--workers", str(workers))
    async with process_before(orchestrator.url, *arguments) as gateway:
        [line] = [line for line in gateway.told.splitlines() if "listening on" in line]
    assert f"version {__version__} (" in line
    keys = "memory" if workers == 1 else "off"
    assert line.endswith(
        f' (upstream {orchestrator.url}, settings "{file}", workers {workers}, limits report,'
        f" TLS off, results memory, keys {keys}, budgets memory)"
    )


async def test_who_reaches_a_limit_is_told_once(orchestrator: Orchestrator) -> None:
    token = orchestrator.tokens["acme-user"]
    with_token = f"GET /acme/job HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    anonymous = "GET /api HTTP/1.1\r\nHost: x\r\n\r\n"
    narrow = {"limits__other__burst": "2", "limits__other__per_second": "0.001"}
    statuses = []
    async with process_before(orchestrator.url, **narrow, limits__anonymous_share="1") as gateway:
        async with connected(gateway.url) as client:
            for request in [with_token, anonymous] * 4:
                await client.send(request.encode())
                head, _ = await client.answer()
                statuses.append(int(head.split()[1]))
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    told = [line for line in gateway.told.splitlines() if " limit " in line]
    assert sorted(line.partition('limit "')[2] for line in told) == [
        'other" is reached by address 127.0.0.1, answered 429',
        f'other" is reached by token {token_hash(token.encode()).hex()} at 127.0.0.1, answered 429',
    ]
    assert statuses.count(429) > len(told)
