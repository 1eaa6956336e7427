"""What a script prints last, in front of an orchestrator that stores it as the state (4.4.3), gets
the status that TheEye's own sync mode gives it (4.6.0, 4.15.3), as measured on the same scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.tasks import Task, python
from tests.support.harness import gateway_before, once

if TYPE_CHECKING:
    from gateway.demo.jobs import StoredJob

FAILURE = '{"state":"failure","data":["no"]}'
SCRIPTS = [
    # The last line, the state that 4.4.3 stores, and the status of output and of parse.
    ("hello", "hello", 200, 200),
    ("", "success", 200, 200),
    ('"success"', "success", 200, 500),
    ("success", "success", 200, 200),
    ("failure", "failure", 500, 500),
    ("42", "success", 200, 200),
    ('["x"]', "success", 200, 500),
    ('{"hello":1}', "success", 200, 200),
    ('{"state":"normal","data":[]}', "normal", 200, 200),
    ('{"state":"ok","data":[]}', "ok", 200, 200),
    ('{"state":"SUCCESS","data":[]}', "SUCCESS", 200, 200),
    ('{"state":"","data":[]}', "success", 200, 200),
    (FAILURE, "failure", 500, 500),
    ('"hi"', "hi", 200, 500),
    ('{"state":5,"data":[]}', "5", 200, 200),
    ('{"state":true,"data":[]}', "true", 200, 200),
    ('{"state":"success ","data":[]}', "success ", 200, 200),
    ("no\tfield: can\x0bhold ñ", "no\tfield: can\x0bhold ñ", 200, 200),
    ("y" * 200_000, "y" * 200_000, 200, 200),
]


def asking(orchestrator: Orchestrator, job: StoredJob, query: str) -> bytes:
    token = orchestrator.tokens["acme-user"]
    return (
        f"GET /job/{job.id}/result?{query} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("line", "state", "status", "parsed"), SCRIPTS, ids=[line[:40] for line, *_ in SCRIPTS]
)
async def test_result_has_the_status_of_the_native_sync_mode(
    line: str, state: str, status: int, parsed: int
) -> None:
    task = Task("script", "64ac0b46c06feba9b89ad700", prints=f"{line}\n")
    async with Orchestrator.serving(tasks=[task]) as orchestrator:
        job = orchestrator.create("script")
        assert (job.lifecycle, job.state) == ("finished", state)
        async with gateway_before(orchestrator.url) as server:
            for query, expected in (
                *((query, status) for query in ("output", "result", "full")),
                ("parse", parsed),
            ):
                head, _ = await once(server.url, asking(orchestrator, job, query))
                assert head.startswith(b"HTTP/1.1 %d " % expected), query
                shown = b"success" if status == 200 else b"failure"
                assert b"\r\nX-TheEye-Job-State: %b\r\n" % shown in head


@pytest.mark.parametrize("code", [0, 3])
async def test_exit_code_decides_nothing(code: int) -> None:
    command = python(f"print('hello'); raise SystemExit({code})")
    task = Task("script", "64ac0b46c06feba9b89ad700", command=command)
    async with Orchestrator.serving(tasks=[task]) as orchestrator:
        job = orchestrator.create("script")
        async with gateway_before(orchestrator.url) as server:
            head, content = await once(server.url, asking(orchestrator, job, "parse&timeout=20"))
            assert (head[:13], content) == (b"HTTP/1.1 200 ", b"null")
            assert job.state == "hello"


async def test_script_that_runs_out_of_time_fails_also_where_it_printed() -> None:
    command = python("import time; print('hello', flush=True); time.sleep(60)")
    task = Task("script", "64ac0b46c06feba9b89ad700", command=command, timeout_seconds=0.2)
    async with Orchestrator.serving(tasks=[task]) as orchestrator:
        job = orchestrator.create("script")
        async with gateway_before(orchestrator.url) as server:
            head, _ = await once(server.url, asking(orchestrator, job, "timeout=20"))
            assert head.startswith(b"HTTP/1.1 500 ")
            assert b"\r\nX-TheEye-Job-State: timeout\r\n" in head
