"""The orchestrator as its callers use it, in the process and as a process."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import zlib

import pytest

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from gateway.demo.wire import CONTENT_BYTES
from tests.support.replay import Response, ask


async def _get(orchestrator: Orchestrator, path: str, token: str, **fields: str) -> Response:
    lines = [f"GET {path} HTTP/1.1", "Host: demo"]
    lines += [f"Authorization: Bearer {orchestrator.tokens[token]}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in fields.items()]
    return await ask(orchestrator.url, "\r\n".join([*lines, "", ""]).encode())


async def _create(orchestrator: Orchestrator, task: str, content: bytes = b"") -> Response:
    target = (
        f"/task/{orchestrator.tasks[task].id}/job?access_token={orchestrator.tokens['acme-user']}"
    )
    head = f"POST {target} HTTP/1.1\r\nHost: demo\r\nContent-Type: application/json\r\n"
    length = f"Content-Length: {len(content)}\r\n\r\n"
    return await ask(orchestrator.url, f"{head}{length}".encode() + content)


async def test_instant_job_has_ended_when_its_creation_is_answered(
    orchestrator: Orchestrator,
) -> None:
    created = (await _create(orchestrator, "instant")).value
    assert (created["lifecycle"], created["state"]) == ("ready", "in_progress")
    output = await _get(orchestrator, f"/job/{created['id']}/output", "acme-user")
    assert output.content == rb'["{\"message\":\"Hello world!\"}"]'
    assert orchestrator.requests == {Operation.CREATE: 1, Operation.OUTPUT: 1}


async def test_held_job_ends_as_told(orchestrator: Orchestrator) -> None:
    job = orchestrator.create("held")
    path = f"/acme/job/{job.id}"
    assert (await _get(orchestrator, f"{path}/lifecycle", "acme-user")).value == "ready"
    orchestrator.finish(job.id, "failure", [{"why": "no"}])
    full = (await _get(orchestrator, path, "acme-user")).value
    assert (full["state"], full["lifecycle"]) == ("failure", "finished")
    assert (full["output"], full["result"]["output"]) == (['{"why":"no"}'], [{"why": "no"}])


async def test_held_job_ends_with_the_result_it_is_given(orchestrator: Orchestrator) -> None:
    job = orchestrator.create("held")
    orchestrator.finish(job.id, "success", ["x"], result={"code": 7}, lifecycle="completed")
    full = (await _get(orchestrator, f"/acme/job/{job.id}", "acme-user")).value
    assert (full["result"], full["lifecycle"]) == ({"code": 7}, "completed")


async def test_removed_job_is_not_found(orchestrator: Orchestrator) -> None:
    job = orchestrator.create("held")
    orchestrator.remove(job.id)
    response = await _get(orchestrator, f"/acme/job/{job.id}", "acme-user")
    assert (response.status_line, response.value) == ("HTTP/1.1 404 Not Found", "job not found")
    with pytest.raises(KeyError):
        orchestrator.finish(job.id)


async def test_any_organization_reads_a_job_by_its_id(orchestrator: Orchestrator) -> None:
    job = orchestrator.create("held")
    response = await _get(orchestrator, f"/globex/job/{job.id}", "globex-user")
    assert response.value["customer_name"] == "acme"


async def test_list_takes_encoded_brackets_and_leaves_missing_jobs_out(
    orchestrator: Orchestrator,
) -> None:
    jobs = [orchestrator.create("held") for _ in range(3)]
    ids = [jobs[0].id, "64ff00000000000000000009", jobs[2].id]
    query = "&".join(f"where%5B_id%5D%5B%24in%5D%5B%5D={job_id}" for job_id in ids)
    listed = (await _get(orchestrator, f"/acme/job?{query}", "acme-user")).value
    assert [job["id"] for job in listed] == [jobs[0].id, jobs[2].id]
    assert not {"output", "result", "task"} & listed[0].keys()


async def test_list_with_great_explicit_indexes_fails(orchestrator: Orchestrator) -> None:
    job = orchestrator.create("held")
    path = f"/acme/job?where[_id][$in][21]={job.id}"
    assert (await _get(orchestrator, path, "acme-user")).value == "Internal Server Error"


@pytest.mark.parametrize(
    ("accepted", "is_zipped"),
    [("gzip", True), ("br, GZIP", True), ("*", True), ("gzip;q=0", False), ("deflate", False)],
)
async def test_answer_is_zipped_when_the_client_takes_it(
    orchestrator: Orchestrator, accepted: str, is_zipped: bool
) -> None:
    host, port = orchestrator.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = f"GET /api HTTP/1.1\r\nHost: demo\r\nConnection: close\r\nAccept-Encoding: {accepted}"
    writer.write(f"{lines}\r\n\r\n".encode())
    received = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, content = received.partition(b"\r\n\r\n")
    assert (b"Content-Encoding: gzip" in head) is is_zipped
    if is_zipped:
        content = zlib.decompressobj(wbits=31).decompress(content.partition(b"\r\n")[2])
    assert json.loads(content) == "Hi, I am ok. Thanks for asking"


async def test_request_with_too_much_content_is_refused(orchestrator: Orchestrator) -> None:
    response = await _create(orchestrator, "echo", b'["%b"]' % (b"a" * CONTENT_BYTES))
    assert response.value["code"] == "PayloadTooLarge"
    assert not list(orchestrator.jobs)


async def test_creation_fails_when_too_many_jobs_are_unfinished() -> None:
    async with Orchestrator.serving(max_jobs=0) as orchestrator:
        response = await _create(orchestrator, "held")
    assert response.status_line == "HTTP/1.1 500 Internal Server Error"


async def test_every_answer_takes_the_service_time() -> None:
    async with Orchestrator.serving(service_seconds=0.03) as orchestrator:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await _create(orchestrator, "held")
        assert loop.time() - started >= 0.03


async def test_process_prints_its_url_and_stops_on_a_signal() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.demo", "--port", "0", "--version", "4.15.3"),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        health = await ask(url, b"GET /api HTTP/1.1\r\nHost: demo\r\n\r\n")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert health.value == "Hi, I am ok. Thanks for asking"
