"""Errors as problem details, and own responses for scripts of other origins."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from gateway.protocols.theeye.cors import EXPOSED
from tests.support.harness import gateway_before, once

if TYPE_CHECKING:
    from gateway.demo.orchestrator import Orchestrator

PROBLEM = b"Accept: application/problem+json\r\n"
ORIGIN = b"Origin: https://a.test\r\n"
NOBODY = "0" * 24


def request(target: str, *lines: bytes, method: str = "GET") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\n".encode()
    return b"".join([head, *lines, b"\r\n"])


def fields(head: bytes, name: bytes) -> list[bytes]:
    return re.findall(rb"(?im)^%b: (.*)\r$" % name, head)


def is_problem(head: bytes, content: bytes) -> dict[str, Any]:
    """What a problem tells, if it is a sound one."""
    told: dict[str, Any] = json.loads(content)
    assert fields(head, b"Content-Type") == [b"application/problem+json"]
    assert fields(head, b"Content-Length") == [b"%d" % len(content)]
    assert b"Accept" in fields(head, b"Vary")
    assert head.startswith(b"HTTP/1.1 %d " % told["status"])
    assert told["type"] == f"urn:theeye-sync-gateway:error:{told['code']}"
    assert told["instance"] == f"urn:theeye-sync-gateway:request:{told['requestId']}"
    return told


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        (f"/job/{NOBODY}/result?limit=no", 400, "BadRequest"),
        ("/job/nonsense/result", 400, "InvalidJobId"),
    ],
)
async def test_own_errors_are_problems_for_who_names_the_type(
    orchestrator: Orchestrator, target: str, status: int, code: str
) -> None:
    query = "&" if "?" in target else "?"
    target += f"{query}access_token={orchestrator.tokens['acme-user']}"
    async with gateway_before(orchestrator.url) as server:
        told = is_problem(*await once(server.url, request(target, PROBLEM)))
        head, content = await once(server.url, request(target, b"Accept: */*\r\n"))
        refused = request(target, b"Accept: application/problem+json;q=0\r\n")
        assert fields((await once(server.url, refused))[0], b"Content-Type") == [
            b"application/json"
        ]
    assert (told["status"], told["code"]) == (status, code)
    assert fields(head, b"Content-Type") == [b"application/json"]
    assert fields(head, b"Vary") == [b"Accept"]
    assert b"urn:" not in content


async def test_end_of_a_wait_is_a_problem_that_tells_of_the_job(orchestrator: Orchestrator) -> None:
    job = orchestrator.create("held")
    token = orchestrator.tokens["acme-user"]
    target = f"/job/{job.id}/result?access_token={token}&timeout=1&limit=1&counter=1"
    async with gateway_before(orchestrator.url) as server:
        head, content = await once(server.url, request(target, PROBLEM))
        plain, words = await once(server.url, request(target))
    told = is_problem(head, content)
    assert (told["status"], told["code"], told["title"]) == (408, "TimeUp", "Time up")
    assert told["job"] == json.loads(words)["job"]
    assert told["job"]["id"] == job.id
    assert fields(head, b"X-TheEye-Job-Id") == [job.id.encode()]
    assert fields(head, b"Cache-Control") == [b"no-store"]
    assert fields(plain, b"Vary") == [b"Accept"]


async def test_job_of_another_organization_is_as_one_that_does_not_exist(
    orchestrator: Orchestrator,
) -> None:
    """Another form would tell that it is there."""
    other = orchestrator.create("instant")
    token = orchestrator.tokens["globex-user"]
    shown = []
    async with gateway_before(orchestrator.url) as server:
        for job_id in (other.id, NOBODY):
            target = f"/job/{job_id}/result?access_token={token}"
            head, content = await once(server.url, request(target, PROBLEM, ORIGIN))
            assert head.startswith(b"HTTP/1.1 404 ")
            shown.append(
                (re.sub(rb"(?:Date|X-Request-Id): [^\r]*|%b" % job_id.encode(), b"", head), content)
            )
    assert shown[0] == shown[1]
    assert shown[0][1] == b'"job not found"'


async def test_upstreams_401_is_passed_on_and_repeated_as_it_is(orchestrator: Orchestrator) -> None:
    sent = request("/acme/job", PROBLEM, b"Authorization: Bearer made.up.token\r\n")
    async with gateway_before(orchestrator.url) as server:
        shown = [await once(server.url, sent) for _ in range(3)]
    assert len({content for _, content in shown}) == 1
    for head, _ in shown:
        assert fields(head, b"Content-Type") == [b"application/json"]
        assert fields(head, b"Vary") == []


async def test_token_that_is_not_genuine_is_a_problem(orchestrator: Orchestrator) -> None:
    identity = {"mode": "verify", "secret": "a secret that nobody signs with, long enough"}
    token = orchestrator.tokens["acme-user"].encode()
    sent = request("/acme/job", PROBLEM, b"Authorization: Bearer %b\r\n" % token)
    async with gateway_before(orchestrator.url, identity=identity) as server:
        told = is_problem(*await once(server.url, sent))
    assert (told["status"], told["code"]) == (401, "Unauthorized")


async def test_request_that_is_no_http_has_no_accept_to_go_by() -> None:
    async with gateway_before("http://127.0.0.1:9") as server:
        head, content = await once(server.url, b"GET / HTTP/1.1\r\n" + PROBLEM + b" x\r\n\r\n")
        told = is_problem(*await once(server.url, request("/", PROBLEM)))
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(content)["code"] == "BadRequest"
    assert (told["status"], told["code"]) == (502, "BadGateway")


async def test_scripts_may_read_what_a_redirect_and_a_result_say(
    orchestrator: Orchestrator,
) -> None:
    token, task = orchestrator.tokens["acme-user"], orchestrator.tasks["instant"].id
    target = f"/task/{task}/job?access_token={token}&wait_result=true"
    async with gateway_before(orchestrator.url) as server:
        sent = request(target, ORIGIN, b"Content-Length: 0\r\n", method="POST")
        created, _ = await once(server.url, sent)
        [location] = fields(created, b"Location")
        result, _ = await once(server.url, request(location.decode(), ORIGIN))
        plain, _ = await once(server.url, request(location.decode()))
    assert created.startswith(b"HTTP/1.1 303 ")
    for head in (created, result):
        assert fields(head, b"Access-Control-Expose-Headers") == [b", ".join(EXPOSED)]
    assert fields(plain, b"Access-Control-Expose-Headers") == []
