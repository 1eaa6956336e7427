"""Clients of many tokens get their results, whether or not the orchestrator lists ranges of ids."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from gateway.demo.listing import Ranges
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.sessions import signed_token
from tests.support.harness import gateway_before

TOKENS, JOBS, LISTS = 8, 240, 12
"""A range is worth a look where it has more jobs than a list of ids."""


@pytest.mark.parametrize("ranges", Ranges)
async def test_each_client_gets_its_own_result(ranges: Ranges) -> None:
    async with (
        Orchestrator.serving(ranges=ranges) as orchestrator,
        gateway_before(orchestrator.url) as gateway,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        asyncio.timeout(30),
    ):
        user = orchestrator.sessions.named("acme-user")
        tokens = [signed_token(user, 4_102_444_800 + number) for number in range(TOKENS)]
        for number, token in enumerate(tokens):
            orchestrator.sessions.log_in(f"user-{number}", user, token)

        async def result(job_id: str, token: str) -> object:
            target = f"{gateway.url}/job/{job_id}/result?output&counter=0&limit=1&timeout=25"
            fields = {"Authorization": f"Bearer {token}"}
            async with session.get(target, headers=fields) as response:
                assert response.status == 200
                return await response.json()

        jobs = [orchestrator.create("held").id for _ in range(JOBS)]
        async with asyncio.TaskGroup() as group:
            waiting = [
                group.create_task(result(job_id, tokens[number % TOKENS]))
                for number, job_id in enumerate(jobs)
            ]
            while orchestrator.requests[Operation.LIST] < LISTS:  # noqa: ASYNC110 - it is counted
                await asyncio.sleep(0.02)
            for job_id in jobs:
                orchestrator.finish(job_id, output=[job_id])
        assert [one.result() for one in waiting] == [[job_id] for job_id in jobs]
