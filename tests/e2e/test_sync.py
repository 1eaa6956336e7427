"""The sync mode as TheEye documents it, with the real curl before a gateway on real sockets."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.demo.faults import FaultKind as Fault
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.routes import Operation
from tests.support.harness import (
    CROSS_ORIGIN,
    Shown,
    curl,
    gateway_before,
    nameless,
    pasted,
    without_what_varies,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.demo.jobs import StoredJob
    from gateway.server.server import Server

JSON = ("--header", "content-type: application/json")
HELLO = b'{"message":"Hello world!"}'
OUTPUT = b'["{\\"message\\":\\"Hello world!\\"}"]'

ASYNC = """\
curl --request POST \\
     --url "http://localhost:60080/task/64ac0b46c06feba9b89ad795/job?access_token=${accessToken}" \\
     --header 'content-type: application/json' \\
     --include \\
     --data '["arg1","arg2","arg3"]'
"""
BY_CONTENT = """\
 curl --location \\
   --include \\
   --request POST \\
   --url "http://localhost:60080/task/64ac0b46c06feba9b89ad795/job?access_token=${accessToken}" \\
   --header 'content-type: application/json' \\
   -d '{"wait_result":true}'
"""
BY_QUERY = """\
 curl \\
   --location \\
   --include \\
   --request POST \\
   --url "http://localhost:60080/task/64ac0b46c06feba9b89ad795/job?access_token=${accessToken}\
&wait_result=true"
"""
ONE_MINUTE = """\
curl --request POST \\
     --include \\
     --location \\
     --url "http://localhost:60080/task/64ac0b46c06feba9b89ad795/job?access_token=${accessToken}\
&limit=6&timeout=10&wait_result=true&parse" \\
     --header 'content-type: application/json' \\
     --data '["arg1","arg2","arg3"]'
"""
RESULT = """\
curl --url "http://localhost:60080/job/64ac6772be08c0252fb5ed1a/result\
?access_token=${accessToken}" \\
       --header 'content-type: application/json' \\
"""
"""The documentation's commands as printed, but for two backslashes that are amiss there."""


@asynccontextmanager
async def before(orchestrator: Orchestrator, **sections: dict[str, Any]) -> AsyncIterator[Server]:
    async with gateway_before(orchestrator.url, **sections) as server:
        yield server


@pytest.fixture
async def server(orchestrator: Orchestrator) -> AsyncIterator[Server]:
    """A gateway before ``orchestrator``."""
    async with before(orchestrator) as server:
        yield server


class User:
    """Somebody who calls the gateway with a token."""

    def __init__(self, orchestrator: Orchestrator, server: Server, name: str = "acme-user") -> None:
        self._orchestrator = orchestrator
        self._url = server.url
        self.token = orchestrator.tokens[name]

    async def paste(self, command: str, job_id: str = "") -> list[Shown]:
        command = command.replace("http://localhost:60080", self._url)
        command = command.replace("64ac6772be08c0252fb5ed1a", job_id)
        return await pasted(command, accessToken=self.token)

    async def create(self, task: str, query: str, *options: str) -> list[Shown]:
        """POST a job of a task and follow the redirects."""
        target = f"/task/{self._orchestrator.tasks[task].id}/job?access_token={self.token}&{query}"
        return await self.call(target, "--request", "POST", *options)

    async def result(self, job: StoredJob, query: str = "", *options: str) -> Shown:
        """The answer to one result request."""
        target = f"/job/{job.id}/result?access_token={self.token}&{query}"
        [answer] = await curl(*options, self._url + target)
        return answer

    async def call(self, target: str, *options: str) -> list[Shown]:
        return await curl("--location", "--globoff", *options, self._url + target)


@pytest.fixture
def user(orchestrator: Orchestrator, server: Server) -> User:
    return User(orchestrator, server)


def ended(
    orchestrator: Orchestrator, *output: Any, state: str = "success", **how: Any
) -> StoredJob:
    job = orchestrator.create("held")
    orchestrator.finish(job.id, state, output, **how)
    return job


async def test_documented_call_without_waiting_answers_the_new_job(user: User) -> None:
    [answer] = await user.paste(ASYNC)
    assert (answer.status, answer["server"]) == (200, "restify")
    assert json.loads(answer.content)["lifecycle"] == "ready"
    assert answer.all("x-theeye-job-id") == []


@pytest.mark.parametrize("command", [BY_CONTENT, BY_QUERY])
async def test_documented_calls_that_wait_answer_the_output(user: User, command: str) -> None:
    created, result = await user.paste(command)
    assert (created.status, created.reason) == (303, "See Other")
    job_id = created["x-theeye-job-id"]
    flag = "&wait_result=true" if command is BY_QUERY else ""
    assert nameless(created["location"]) == (
        f"/job/{job_id}/result?access_token={user.token}{flag}&counter=0&limit=10&timeout=5"
    )
    assert (result.status, result.content) == (200, OUTPUT)


@pytest.mark.parametrize("command", [ONE_MINUTE, ONE_MINUTE.replace("--request POST", "")])
async def test_documented_call_of_one_minute_answers_what_the_task_printed(
    user: User, command: str
) -> None:
    created, result = await user.paste(command)
    assert [name for name, _ in created.fields] == [
        "Server",
        *CROSS_ORIGIN,
        "Content-Type",
        "Content-Length",
        "Date",
        "Location",
        "X-TheEye-Job-Id",
        "X-TheEye-Job-State",
        "Cache-Control",
        "X-Request-Id",
    ]
    assert nameless(created["location"]) == (
        f"/job/{created['x-theeye-job-id']}/result?access_token={user.token}"
        "&limit=6&timeout=10&wait_result=true&parse&counter=0"
    )
    assert (result.status, result.content) == (200, HELLO)
    assert result["content-length"] == "26"


@pytest.mark.parametrize(
    ("task", "query", "status"),
    [
        ("instant", "timeout=1", 200),
        ("instant", "timeout=1&parse", 200),
        ("held", "timeout=1&limit=2", 303),
        ("held", "timeout=1&limit=1&counter=1", 408),
    ],
)
async def test_answers_made_from_the_orchestrators_begin_with_its_fields(
    orchestrator: Orchestrator, server: Server, task: str, query: str, status: int
) -> None:
    """In the order that the recordings of the native mode show."""
    job = orchestrator.create(task)
    token = orchestrator.tokens["acme-user"]
    [answer] = await curl(f"{server.url}/job/{job.id}/result?access_token={token}&{query}")
    assert (answer.status, answer["server"]) == (status, "restify")
    names = [name for name, _ in answer.fields]
    own = ["Location"] if status == 303 else []
    assert names[: 6 + len(own)] == ["Server", *CROSS_ORIGIN, *own, "Content-Type"]


@pytest.mark.parametrize(
    ("options", "is_right"),
    [
        ("", lambda content: content == OUTPUT),
        ("-G --data-urlencode 'parse'", lambda content: content == HELLO),
        ("-G --data-urlencode 'result'", lambda content: json.loads(content)["code"] == 0),
        ("-G --data-urlencode 'full'", lambda content: json.loads(content)["state"] == "success"),
    ],
)
async def test_documented_calls_for_a_result_answer_each_format(
    orchestrator: Orchestrator, user: User, options: str, is_right: Callable[[bytes], bool]
) -> None:
    job = orchestrator.create("instant")
    [answer] = await user.paste(RESULT + options, job.id)
    assert answer.status == 200
    assert is_right(answer.content), answer.content


@pytest.mark.parametrize("query", ["full", "result", "output"])
async def test_what_the_upstream_wrote_is_answered_byte_for_byte(
    orchestrator: Orchestrator, user: User, query: str
) -> None:
    job = ended(orchestrator, 'ñ€😀 "\\/', 1.50, result={"log": "ñ\n", "z": 1, "a": 1e300})
    [whole] = await curl(f"{orchestrator.url}/acme/job/{job.id}?access_token={user.token}")
    answer = await user.result(job, query)
    if query == "full":
        assert answer.content == whole.content
    else:
        assert b'"%b":%b' % (query.encode(), answer.content) in whole.content


@pytest.mark.parametrize(
    ("task", "status", "content"),
    [("failing", 500, b'{"message":"The disk is full."}'), ("plain", 200, b"null")],
)
async def test_result_has_the_status_the_job_earned(
    user: User, task: str, status: int, content: bytes
) -> None:
    _, result = await user.create(task, "wait_result=true&parse")
    assert (result.status, result.content) == (status, content)


async def test_task_may_choose_its_status(user: User) -> None:
    _, result = await user.create("teapot", "wait_result=true&parse")
    assert (result.status, json.loads(result.content)["statusCode"]) == (418, 418)


async def test_token_in_a_field_stays_out_of_the_location_and_serves_the_wait(
    orchestrator: Orchestrator, user: User
) -> None:
    task = orchestrator.tasks["hello"].id
    created, result = await user.call(
        f"/task/{task}/job?wait_result=true&parse",
        *("--request", "POST", "--header", f"Authorization: Bearer {user.token}"),
    )
    assert user.token not in str(created.fields)
    assert nameless(created["location"]).endswith(
        "/result?wait_result=true&parse&counter=0&limit=10&timeout=5"
    )
    assert (result.status, result.content) == (200, HELLO)


@pytest.mark.parametrize(
    ("target", "content"),
    [
        ("/acme/task/{task}/job", "[]"),
        ("/job", '{{"task":"{task}"}}'),
        ("/acme/job", '{{"task":"{task}"}}'),
    ],
)
async def test_every_route_that_creates_a_job_can_wait(
    orchestrator: Orchestrator, user: User, target: str, content: str
) -> None:
    task = orchestrator.tasks["instant"].id
    answers = await user.call(
        f"{target.format(task=task)}?wait_result=true&access_token={user.token}",
        *JSON,
        *("--data", content.format(task=task)),
    )
    assert [answer.status for answer in answers] == [303, 200]
    assert answers[1].content == OUTPUT


async def test_opaque_token_is_told_the_organization_in_the_location(
    orchestrator: Orchestrator, server: Server
) -> None:
    user = User(orchestrator, server, "acme-opaque")
    created, result = await user.create("instant", "wait_result=true&parse")
    assert nameless(created["location"]).endswith("&customer=acme")
    assert (result.status, result.content) == (200, HELLO)
    assert (await user.result(orchestrator.create("instant"))).status == 404


@pytest.mark.parametrize("query", ["", "customer=globex", "customer=acme"])
async def test_job_of_another_organization_is_not_found(
    orchestrator: Orchestrator, server: Server, query: str
) -> None:
    stranger = User(orchestrator, server, "globex-user")
    theirs = await stranger.result(orchestrator.create("instant"), query)
    assert (theirs.status, theirs.content) == (404, b'"job not found"')
    assert theirs["x-theeye-job-state"] == "unknown"


@pytest.mark.parametrize("task", ["held", "instant"])
@pytest.mark.parametrize(
    ("query", "content"),
    [
        ("wait_result=1", ""),
        ("wait_result=TRUE", ""),
        ("wait_result", ""),
        ("wait_result=true&wait_result=true", ""),
        ("", '{"wait_result":"true"}'),
        ("", '{"a":{"wait_result":true}}'),
        ("", '[{"wait_result":true}]'),
        ("timeout=x", ""),
    ],
)
async def test_what_is_no_wait_is_answered_as_without_the_gateway(
    orchestrator: Orchestrator, user: User, query: str, content: str, task: str
) -> None:
    target = f"/task/{orchestrator.tasks[task].id}/job?{query}&access_token={user.token}"
    options = [*JSON, "--data", content, "--location"]
    [direct], [passed] = await asyncio.gather(
        curl(*options, orchestrator.url + target), user.call(target, *options)
    )
    assert (passed.status, passed.reason) == (direct.status, direct.reason) == (200, "OK")
    assert without_what_varies(passed.content) == without_what_varies(direct.content)
    assert [name for name, _ in passed.fields] == [
        name for name, _ in direct.fields if name not in {"Connection", "Keep-Alive"}
    ]


TIMEOUT = "timeout must be a whole number of seconds, 1 to 60 (sync.max_hold_seconds), and is "


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("timeout=abc", f'{TIMEOUT}"abc"'),
        ("timeout=0", f'{TIMEOUT}"0"'),
        ("timeout=5&timeout=5", f"{TIMEOUT}given 2 times"),
        ("limit=0", 'limit must be a whole number, 1 to 1000000, and is "0"'),
        ("counter=-1", 'counter must be a whole number, 0 to 1000000, and is "-1"'),
        ("counter=1.5", 'counter must be a whole number, 0 to 1000000, and is "1.5"'),
    ],
)
@pytest.mark.parametrize("by_content", [False, True])
async def test_bad_parameter_is_refused_before_a_job_exists(
    orchestrator: Orchestrator, user: User, query: str, message: str, by_content: bool
) -> None:
    if by_content:
        answers = await user.create("held", query, *JSON, "--data", '{"wait_result":true}')
    else:
        answers = await user.create("held", f"wait_result=true&{query}")
    assert len(answers) == 1
    body = json.loads(answers[0].content)
    assert (answers[0].status, list(body)) == (400, ["statusCode", "message", "code", "requestId"])
    assert (body["statusCode"], body["message"], body["code"]) == (400, message, "BadRequest")
    assert orchestrator.requests[Operation.CREATE] == 0


async def test_content_that_is_no_json_makes_no_job(orchestrator: Orchestrator, user: User) -> None:
    options = [*JSON, "--data", '{"wait_result":true']
    [answer] = await user.create("held", "wait_result=true", *options)
    [direct] = await curl(
        *options,
        f"{orchestrator.url}/task/{orchestrator.tasks['held'].id}/job?access_token={user.token}",
    )
    assert (answer.status, answer.content) == (direct.status, direct.content)
    assert answer.status == 400
    assert list(orchestrator.jobs) == []


@pytest.mark.parametrize("job_id", ["xyz", "64ac0b46c06feba9b89ad79", "..", "%36" + "a" * 23])
async def test_job_id_that_is_none_is_refused_without_asking_upstream(
    orchestrator: Orchestrator, user: User, job_id: str
) -> None:
    [answer] = await user.call(
        f"/job/{job_id}/result?access_token={user.token}", "--path-as-is", "--data", ""
    )
    assert (answer.status, answer.content) == (400, b'"job id is invalid"')
    assert not orchestrator.requests
    assert answer.all("access-control-allow-origin") == ["*"]


def without_stack(answer: Shown) -> Any:
    content = json.loads(answer.content)
    if isinstance(content, dict):
        del content["stack"]
    return content


@pytest.mark.parametrize("name", ["unknown", ""])
@pytest.mark.parametrize("query", ["", "wait_result=true"])
async def test_refusal_of_the_token_passes(
    orchestrator: Orchestrator, user: User, name: str, query: str
) -> None:
    token = f"access_token={orchestrator.tokens[name]}" if name else ""
    task = orchestrator.tasks["held"].id
    job = orchestrator.create("held")
    for method, target, theirs in (
        ("POST", f"/task/{task}/job?{query}&{token}", f"/task/{task}/job?{query}&{token}"),
        ("GET", f"/job/{job.id}/result?{token}", f"/acme/job/{job.id}?{token}"),
    ):
        [direct] = await curl("--request", method, orchestrator.url + theirs)
        [answer] = await user.call(target, "--request", method)
        # The stack is the upstream's own; a token that is asked for again is refused without one.
        assert (answer.status, without_stack(answer)) == (direct.status, without_stack(direct))
        assert answer.status == 401


async def test_create_refused_or_failing_upstream_passes_unchanged_and_is_not_repeated(
    orchestrator: Orchestrator, user: User
) -> None:
    for fault, status in ((Fault.STATUS, 409), (Fault.REFUSE, 500), (Fault.CLOSE, 502)):
        orchestrator.requests.clear()
        orchestrator.faults.add(fault, method="POST", times=None, status=409)
        [answer] = await user.create("held", "wait_result=true")
        assert (answer.status, answer.all("location")) == (status, [])
        assert orchestrator.requests[Operation.CREATE] == 1
        orchestrator.faults.clear()


async def test_hops_count_up_until_the_limit_answers_408_with_the_job(
    orchestrator: Orchestrator, user: User
) -> None:
    origin = "https://app.test"
    created, hop, timed_out = await user.create(
        "held", "wait_result=true&a=%C3%B1&limit=2&timeout=1", "--header", f"Origin: {origin}"
    )
    assert [created.status, hop.status, timed_out.status] == [303, 303, 408]
    location = f"/job/{created['x-theeye-job-id']}/result?access_token={user.token}"
    query = "&wait_result=true&a=%C3%B1&limit=2&timeout=1"
    assert nameless(created["location"]) == f"{location}{query}&counter=0"
    assert nameless(hop["location"]) == f"{location}{query}&counter=1"
    job = next(iter(orchestrator.jobs))
    told = {"id": job.id, "lifecycle": "ready", "state": "in_progress"}
    assert json.loads(timed_out.content) == {
        "job": told,
        "statusCode": 408,
        "message": "Request Timeout",
    }
    for answer in (created, hop, timed_out):
        assert answer["access-control-allow-origin"] == origin
        assert [name for name, _ in answer.fields if name in CROSS_ORIGIN] == CROSS_ORIGIN
        assert answer["cache-control"] == "no-store"
        assert answer["x-theeye-job-id"] == job.id
        assert answer["x-theeye-job-state"] == "in_progress"
        assert answer["content-type"] == "application/json"


async def test_redirects_have_the_content_the_documentation_says(
    orchestrator: Orchestrator, server: Server, user: User
) -> None:
    target = f"/task/{orchestrator.tasks['held'].id}/job?access_token={user.token}"
    data = ("--data", "[]", *JSON)
    [direct] = await curl(*data, orchestrator.url + target)
    [created] = await curl(*data, f"{server.url}{target}&wait_result=true&timeout=1")
    assert (direct.status, created.status) == (200, 303)
    assert without_what_varies(created.content) == without_what_varies(direct.content)
    [hop] = await curl(server.url + created["location"])
    assert (hop.status, hop.content) == (303, b"{}")


async def test_request_beyond_the_limit_does_not_wait(
    orchestrator: Orchestrator, user: User
) -> None:
    job = orchestrator.create("held")
    query = "timeout=60&limit=3&counter=3"
    answer = await user.result(job, query)
    assert (answer.status, json.loads(answer.content)["job"]["id"]) == (408, job.id)
    orchestrator.finish(job.id, output=[{"message": "Hello world!"}])
    answer = await user.result(job, query)
    assert (answer.status, answer.content) == (200, OUTPUT)


async def test_results_and_errors_carry_what_browsers_and_caches_need(
    orchestrator: Orchestrator, server: Server, user: User
) -> None:
    job = ended(orchestrator)
    origin = ("--header", "Origin: https://app.test")
    result = await user.result(job, "", *origin)
    gone = await user.result(job, "customer=globex", *origin)
    wrong = await user.result(job, "timeout=x", *origin)
    assert [result.status, gone.status, wrong.status] == [200, 404, 400]
    for answer in (result, gone, wrong):
        assert answer["access-control-allow-origin"] == "https://app.test"
        assert [name for name, _ in answer.fields if name in CROSS_ORIGIN] == CROSS_ORIGIN
        assert answer["x-theeye-job-id"] == job.id
        assert answer.all("connection") == []
    assert result["cache-control"] == "no-store"
    assert result["x-theeye-job-state"] == "success"
    [refused] = await curl(*origin, "--request-target", "http://other.test/", server.url)
    assert refused.status == 400
    assert refused["access-control-allow-origin"] == "https://app.test"
    body = json.loads(refused.content)
    assert re.fullmatch("[0-9a-f]{32}", body["requestId"])


async def test_response_chosen_by_the_task_is_filtered_in_the_newest_profile(
    orchestrator: Orchestrator,
) -> None:
    headers = {
        "Content-Type": "text/csv",
        "X-Total": 3,
        "Content-Length": "9999",
        "Transfer-Encoding": "chunked",
        "Connection": "close",
        "Set-Cookie": "a=b",
        "Location": "https://evil.test",
        "Access-Control-Allow-Origin": "https://evil.test",
        "X-Split": "a\r\nX-Evil: 1",
        "X-TheEye-Job-Id": "0",
    }
    response = {"statusCode": 207, "headers": headers, "body": "a;b\nñ;2\n"}
    async with before(orchestrator, sync={"profile": "4.15"}) as server:
        user = User(orchestrator, server)
        job = ended(orchestrator, {"response": response})
        answer = await user.result(job)
        assert (await user.result(job, "output")).status == 200
    assert (answer.status, answer.content.decode()) == (207, "a;b\nñ;2\n")
    assert [name for name, _ in answer.fields] == [
        "Server",
        *CROSS_ORIGIN,
        "Content-Type",
        "X-Total",
        "Cache-Control",
        "X-TheEye-Job-Id",
        "X-TheEye-Job-State",
        "X-Request-Id",
        "Content-Length",
        "Date",
    ]
    assert answer["x-theeye-job-id"] == job.id


async def test_wait_by_task_secret_is_off_as_documented(
    orchestrator: Orchestrator, user: User
) -> None:
    task = orchestrator.tasks["instant"]
    target = f"/task/{task.id}/secret/{task.secret}/job?wait_result=true"
    [answer] = await user.call(target, "--request", "POST")
    assert (answer.status, answer.all("location")) == (200, [])


async def test_a_large_result_is_read_and_formatted_as_any_other(
    orchestrator: Orchestrator, server: Server
) -> None:
    job = orchestrator.create("held")
    text = json.dumps("x" * 400_000)
    orchestrator.finish(job.id, output=[text])
    answer = await User(orchestrator, server).result(job, "parse")
    assert answer.status == 200
    assert answer.content == text.encode()
