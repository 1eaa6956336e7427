"""The id by which all requests of a wait are found, and the ids in the gateway's own responses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.harness import (
    Shown,
    curl,
    gateway_before,
    nameless,
    once,
    process_before,
    wait_id,
)
from tests.support.pipeline import NOWHERE, Record
from tests.support.upstream import upstream_answering

if TYPE_CHECKING:
    from gateway.demo.orchestrator import Orchestrator
    from gateway.downstream.exchange import Exchange

JOB = "64ac6478646bb71ee82e3a72"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
TRUSTING = {"listen": {"host": "127.0.0.1", "port": 0, "trusted_proxies": ["127.0.0.1"]}}
RID = "0123456789abcdef0123456789abcdef"
CREATING = ("--request", "POST", "--data", "[]", "--header", "Content-Type: application/json")


class Calls:
    """A user's calls to a gateway that a test observes."""

    def __init__(self, orchestrator: Orchestrator, url: str) -> None:
        self._orchestrator = orchestrator
        self.url = url
        self.token = orchestrator.tokens["acme-user"]

    async def create(self, task: str, query: str, *options: str) -> list[Shown]:
        target = f"/task/{self._orchestrator.tasks[task].id}/job?access_token={self.token}&{query}"
        return await curl(*CREATING, *options, self.url + target)

    async def result(self, query: str, *options: str) -> Shown:
        job = self._orchestrator.create("held")
        target = f"/job/{job.id}/result?access_token={self.token}&{query}"
        [shown] = await curl(*options, self.url + target)
        return shown


async def hops(
    orchestrator: Orchestrator, query: str, *options: str, **sections: dict[str, Any]
) -> tuple[list[Shown], list[Exchange]]:
    """What a client sees that creates a job and follows its redirects to the end of the wait."""
    record = Record()
    async with gateway_before(orchestrator.url, record, **sections) as server:
        shown = await Calls(orchestrator, server.url).create("held", query, "--location", *options)
    return shown, record.exchanges


async def test_all_requests_of_a_wait_have_the_id_of_the_first(orchestrator: Orchestrator) -> None:
    shown, requests = await hops(orchestrator, "wait_result=true&limit=2&timeout=1")
    assert [one.status for one in shown] == [303, 303, 408]
    [the_id] = {request.request_id for request in requests}
    assert {wait_id(one["Location"]) for one in shown[:2]} == {the_id}
    assert {one["X-Request-Id"] for one in shown} == {the_id}


async def test_log_of_a_process_finds_every_request_of_a_wait(orchestrator: Orchestrator) -> None:
    async with process_before(orchestrator.url) as gateway:
        shown = await Calls(orchestrator, gateway.url).create(
            "held", "wait_result=true&limit=2&timeout=1", "--location"
        )
        gateway.signal(15)
        assert await gateway.ended() == 0
    lines = [json.loads(line) for line in gateway.logged.splitlines()]
    assert [line["kind"] for line in lines] == ["create", "result", "result"]
    assert {line["request_id"] for line in lines} == {wait_id(shown[0]["Location"])}


async def test_wait_that_begins_with_a_request_for_its_result_is_named_by_that(
    orchestrator: Orchestrator,
) -> None:
    record = Record()
    async with gateway_before(orchestrator.url, record) as server:
        hop = await Calls(orchestrator, server.url).result("limit=2&timeout=1")
    assert wait_id(hop["Location"]) == record.exchanges[0].request_id == hop["X-Request-Id"]


async def test_each_hop_keeps_the_id_that_its_trusted_proxy_gives_and_leads_on_with_the_first(
    orchestrator: Orchestrator,
) -> None:
    record = Record()
    async with gateway_before(orchestrator.url, record, **TRUSTING) as server:
        calls = Calls(orchestrator, server.url)
        [created] = await calls.create(
            "held", "wait_result=true&timeout=1", "--header", "X-Request-Id: first-1"
        )
        assert created["Location"].endswith("&rid=first-1")
        [hop] = await curl("--header", "X-Request-Id: second", server.url + created["Location"])
        assert hop["Location"].endswith("&counter=1&limit=10&rid=first-1")
    assert [one.request_id for one in record.exchanges] == ["first-1", "second"]
    assert "rid=first-1" in record.exchanges[1].client.target


async def test_id_of_whoever_is_no_trusted_proxy_names_no_wait(orchestrator: Orchestrator) -> None:
    [*_, last], requests = await hops(
        orchestrator,
        "wait_result=true&limit=1&timeout=1&rid=of-somebody-else",
        *("--header", "X-Request-Id: made-up"),
    )
    assert last.status == 408
    [the_id] = {request.request_id for request in requests}
    assert the_id not in {"made-up", "of-somebody-else"}


@pytest.mark.parametrize("given", ["a%0d%0aX:b", "a%20b", "a" * 129, f"{RID}&rid={RID}", "", "%FF"])
async def test_id_that_no_gateway_has_written_is_replaced(
    orchestrator: Orchestrator, given: str
) -> None:
    record = Record()
    async with gateway_before(orchestrator.url, record) as server:
        hop = await Calls(orchestrator, server.url).result(f"timeout=1&rid={given}")
    assert wait_id(hop["Location"]) == record.exchanges[0].request_id != RID
    assert "rid" not in nameless(hop["Location"])


async def test_id_of_another_wait_labels_the_request_and_decides_nothing(
    orchestrator: Orchestrator,
) -> None:
    """Whoever sends it gets what the own token may have, and a line of the own."""
    record = Record()
    async with gateway_before(orchestrator.url, record) as server:
        calls = Calls(orchestrator, server.url)
        await calls.create("held", "wait_result=true&timeout=1")
        rid = record.exchanges[0].request_id
        calls.token = orchestrator.tokens["globex-user"]
        shown = await calls.result(f"timeout=1&rid={rid}")
    assert shown.status == 404
    assert record.exchanges[-1].request_id == shown["X-Request-Id"] == rid


@pytest.mark.parametrize(
    ("method", "target", "sent"),
    [
        ("HEAD", f"/job/{JOB}/result?parse&rid={RID}", f"/job/{JOB}/result?parse"),
        ("HEAD", f"/job/{JOB}/result?rid={RID}", f"/job/{JOB}/result"),
        ("HEAD", f"/job/{JOB}/result?rid=%22&x=%20", f"/job/{JOB}/result?x=%20"),
        ("GET", f"/job/{JOB}/secret/s/result?rid={RID}&x", f"/job/{JOB}/secret/s/result?x"),
        ("GET", f"/task?rid={RID}", f"/task?rid={RID}"),
        ("GET", f"/a/result?rid={RID}", f"/a/result?rid={RID}"),
        ("HEAD", f"/job/{JOB}/result?grid=1", f"/job/{JOB}/result?grid=1"),
    ],
)
async def test_upstream_never_sees_the_id_in_an_address_of_a_result(
    method: str, target: str, sent: str
) -> None:
    record = Record()
    async with (
        upstream_answering(OK) as script,
        gateway_before(script.url, record, sync={"secret_routes": False}) as server,
    ):
        head, _ = await once(server.url, f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert head.startswith(b"HTTP/1.1 200 ")
    assert script.heads[0].startswith(f"{method} {sent} HTTP/1.1\r\n".encode())
    # It was passed through, so it is no request of a wait.
    assert record.exchanges[0].request_id != RID
    assert b"X-Request-Id" not in head


async def test_preflight_of_a_redirect_is_sent_upstream_without_the_id() -> None:
    async with upstream_answering(OK) as script, gateway_before(script.url) as server:
        message = (
            f"OPTIONS /job/{JOB}/result?counter=1&rid={RID} HTTP/1.1\r\nHost: x\r\n"
            "Origin: https://app.test\r\nAccess-Control-Request-Method: GET\r\n\r\n"
        )
        await once(server.url, message.encode())
    assert script.heads[0].startswith(f"OPTIONS /job/{JOB}/result?counter=1 ".encode())


LONG = "x" * 20_000
FIELDS = "X: x\r\n" * 300


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("GET /job/nonsense/result HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (f"GET /job/{JOB}/result?timeout=x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
        (f"GET /{LONG} HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (f"GET / HTTP/1.1\r\nHost: x\r\n{FIELDS}\r\n", 431),
        ("TRACE / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n", 200),
        ("GET /task HTTP/1.1\r\nHost: x\r\n\r\n", 502),
        (
            f"OPTIONS /job/{JOB}/result HTTP/1.1\r\nHost: x\r\nOrigin: https://app.test\r\n"
            "Access-Control-Request-Method: GET\r\n\r\n",
            204,
        ),
    ],
)
async def test_responses_of_the_gateways_own_have_the_requests_id(
    message: str, status: int
) -> None:
    record = Record()
    async with gateway_before(NOWHERE, record) as server:
        head, _ = await once(server.url, message.encode())
    [observed] = record.exchanges
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert head.count(f"\r\nX-Request-Id: {observed.request_id}\r\n".encode()) == 1


async def test_token_that_is_refused_from_memory_is_answered_as_the_orchestrator_did(
    orchestrator: Orchestrator,
) -> None:
    record = Record()
    message = b"GET /acme/job HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer none\r\n\r\n"
    async with gateway_before(orchestrator.url, record) as server:
        heads = [(await once(server.url, message))[0] for _ in range(2)]
    assert [one.reason for one in record.exchanges] == ["", "UnknownToken"]
    assert not any(b"X-Request-Id" in head for head in heads)


async def test_responses_to_a_creating_request_have_its_id_only_where_a_job_came_of_it(
    orchestrator: Orchestrator,
) -> None:
    record = Record()
    async with gateway_before(orchestrator.url, record) as server:
        calls = Calls(orchestrator, server.url)
        [plain] = await calls.create("held", "parse")
        [accepted] = await calls.create("held", "parse", "--header", "Prefer: respond-async")
        [result] = await calls.create("instant", "parse", "--header", "Prefer: wait=20")
        calls.token = "nobody"
        [refused] = await calls.create("held", "wait_result=true")
    assert [one.status for one in (plain, accepted, result, refused)] == [200, 202, 200, 401]
    assert plain.all("X-Request-Id") == refused.all("X-Request-Id") == []
    ids = [request.request_id for request in record.exchanges]
    assert [accepted["X-Request-Id"], result["X-Request-Id"]] == ids[1:3]
    assert wait_id(accepted["Location"]) == ids[1]
    assert wait_id(result["Content-Location"]) == ids[2]


async def test_scripts_of_other_origins_may_read_the_id(orchestrator: Orchestrator) -> None:
    async with gateway_before(orchestrator.url) as server:
        hop = await Calls(orchestrator, server.url).result(
            "timeout=1", "--header", "Origin: https://app.test"
        )
    assert "X-Request-Id" in hop["Access-Control-Expose-Headers"]
