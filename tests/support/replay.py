"""Replays recorded exchanges against an orchestrator, and says where its responses differ."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt

from gateway.demo.agent import Run, ending_of, not_run
from gateway.demo.jobs import StoredJob, WorkflowJob
from gateway.demo.orchestrator import Orchestrator
from gateway.demo.sessions import GLOBEX
from gateway.demo.tasks import Task, TaskKind
from gateway.demo.versions import Version
from gateway.demo.workflows.workflow import Step, Workflow

RECORDINGS = Path(__file__).parents[1] / "recordings"
FOLDERS = {
    Version.ASYNC_ONLY: "async-only",
    Version.FIRST_SYNC: "v4.6.0",
    Version.NEWEST: "v4.15.3",
}
RECORDED_SECRET = "5ec2e7" * 10 + "5ec2"
RECORDED_WORKFLOW_SECRET = "f10" * 21 + "f"
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_JOB_ID = re.compile(r"6b05[0-9a-f]{20}")
_USERS = {
    "acme-0123456789-integration": "acme-integration",
    "c0ffee" * 6 + "c0ff": "acme-agent",
    "c0ffee00" * 5: "acme-agent",
    "ghost": "unknown",
}
_ACCESS = ("acme-user@acme.test", "acme-viewer@acme.test")
_VOLATILE_FIELDS = {"Date", "Content-Length"}
_SAME_IN_JOBS = (
    *("state", "lifecycle", "trigger_name", "output", "task_arguments_values", "customer_name"),
    *("origin", "acl", "name", "approvers", "active_paths_counter"),
)
_NODE_STATE = {"status", "node_hostname", "load_average"}


def _task(number: int, name: str, arguments: int = 1, **options: Any) -> Task:
    options.setdefault("access_list", _ACCESS)
    options.setdefault("kept_jobs", 1000)
    return Task(name, f"64e{number:021}", arguments=arguments, **options)


_AT_WORKFLOW = ("acme-user@acme.test",)
_FIRST, _LAST = _task(21, "wf_start"), _task(22, "wf_end")
TASKS = (
    _task(1, "args3", 3),
    _task(2, "noargs", 0),
    _task(3, "secret1"),
    _task(6, "autoremove", 0, kept_jobs=5),
    _task(8, "args1"),
    _task(13, "idle"),
    _task(14, "dummy", kind=TaskKind.DUMMY, access_list=_AT_WORKFLOW),
    _task(
        15,
        "approval",
        kind=TaskKind.APPROVAL,
        access_list=_AT_WORKFLOW,
        approvers=("64b000000000000000000001",),
    ),
    _task(16, "acl_empty", access_list=()),
    _task(17, "acl_both", access_list=("user", "acme-user@acme.test")),
    _task(31, "globex_args1", organization=GLOBEX, access_list=()),
)
"""The recorded tasks; none runs by itself, the replay ends their jobs as the recorded agent did."""
WORKFLOWS = (
    Workflow(
        "two_steps",
        "64f000000000000000000001",
        _FIRST,
        (Step(_FIRST, "success", _LAST),),
        access_list=_AT_WORKFLOW,
    ),
)


@dataclass(frozen=True, slots=True)
class Response:
    status_line: str
    fields: list[tuple[str, str]]
    content: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.content) if self.content else None


def scenarios(version: Version = Version.ASYNC_ONLY) -> list[str]:
    """The scenarios that the orchestrator can be held to: of later versions those without a sync
    mode of their own."""
    names = sorted(path.stem for path in (RECORDINGS / FOLDERS[version]).glob("*.json"))
    if version is Version.ASYNC_ONLY:
        return names
    return [name for name in names if name.startswith(("dummy_", "workflow_"))]


def exchanges_of(scenario: str, version: Version = Version.ASYNC_ONLY) -> list[dict[str, Any]]:
    text = (RECORDINGS / FOLDERS[version] / f"{scenario}.json").read_text()
    exchanges: list[dict[str, Any]] = json.loads(text)["exchanges"]
    return exchanges


def recorded_orchestrator(
    version: Version = Version.ASYNC_ONLY,
) -> AbstractAsyncContextManager[Orchestrator]:
    """One that has the recorded tasks and workflows."""
    return Orchestrator.serving(
        tasks=TASKS, workflows=WORKFLOWS, version=version, gap_seconds=0.005
    )


class Replay:
    """One scenario; recorded job ids become those of its own jobs.

    ``send`` gives a request to a server, the orchestrator's own unless another is given, and
    returns the response.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        exchanges: list[dict[str, Any]],
        send: Callable[[bytes], Awaitable[Response]] | None = None,
        version: Version = Version.ASYNC_ONLY,
    ) -> None:
        self._orchestrator = orchestrator
        self._send = send or partial(ask, orchestrator.url)
        self._version = version
        self._recorded = _recorded_jobs(exchanges) | _foreign_jobs(exchanges)
        self._ids: dict[str, str] = {}
        for job_id in sorted(_ids_before(exchanges)):
            self._ids[job_id] = self._create(self._recorded.get(job_id, {}))
            if not _is_canceled(exchanges, job_id):
                self._end(job_id)

    async def differences(self, exchange: dict[str, Any]) -> list[str]:
        """How the response to an exchange's request differs from the recorded one."""
        request = exchange["request"]
        if "/cancel" not in request["line"]:
            for job_id in _JOB_ID.findall(request["line"]):
                await self._bring(job_id, _response(exchange["response"]).value)
        response = await self._send(self._message(request))
        recorded = _response(exchange["response"])
        self._adopt(recorded, response)
        return _differences(recorded, self._theirs(response))

    def _create(self, known: dict[str, Any]) -> str:
        names = {task.id: task.name for task in self._orchestrator.tasks.values()}
        tasks = {job["task_id"] for job in self._recorded.values() if "task_id" in job}
        default = tasks.pop() if len(tasks) == 1 else self._orchestrator.tasks["args1"].id
        name = names[known.get("task_id", default)]
        arguments = known.get("task_arguments_values", ["x"])
        caller = f"{self._orchestrator.tasks[name].organization.name}-admin"
        return self._orchestrator.create(name, *arguments, caller=caller).id

    async def _bring(self, job_id: str, shown: Any) -> None:
        """Bring a job to where the recorded response shows it."""
        job = self._orchestrator.jobs.get(self._ids[job_id])
        if not isinstance(job, WorkflowJob):
            self._end(job_id)
        elif isinstance(shown, dict) and shown.get("lifecycle") == "started":
            self._orchestrator.jobs.assign(self._orchestrator.task_jobs(job)[0])
        else:
            await self._end_run(job, job_id)

    def _end(self, job_id: str) -> None:
        """Ends a job as its recorded agent did, if it did."""
        known = self._recorded.get(job_id, {})
        job = self._orchestrator.jobs.get(self._ids[job_id])
        if job is None or known.get("lifecycle") in ("ready", "assigned"):
            return
        if job.task.kind is TaskKind.SCRIPT:
            self._end_as(job, known.get("result") or _planned(job.arguments))

    async def _end_run(self, run: WorkflowJob, job_id: str) -> None:
        """Ends the task jobs of a workflow, one after the other."""
        steps = [job for job in self._recorded.values() if job.get("workflow_job_id") == job_id]
        task_jobs = self._orchestrator.task_jobs
        for number, known in enumerate(steps):
            await until(lambda number=number: len(task_jobs(run)) > number)  # type: ignore[misc]
            self._end_as(task_jobs(run)[number], known["result"])
        if self._version is Version.NEWEST:
            await until(lambda: run.ending is not None)

    def _end_as(self, job: StoredJob, result: dict[str, Any]) -> None:
        if "code" in result:
            run = Run(result["code"], result["log"], 0, result["signal"], result["killed"])
            ending = ending_of(run, self._version)
            assert ending is not None
            self._orchestrator.end(job.id, ending)
        else:
            self._orchestrator.end(job.id, not_run(result.get("lastline", "")))

    def _adopt(self, recorded: Response, response: Response) -> None:
        """From now on the recorded new job is the one just created."""
        if recorded.content.startswith(b'{"order"') and response.content.startswith(b'{"order"'):
            self._ids.setdefault(recorded.value["id"], response.value["id"])

    def _theirs(self, response: Response) -> Response:
        content = response.content.decode()
        for theirs, ours in self._ids.items():
            content = content.replace(ours, theirs)
        return Response(response.status_line, response.fields, content.encode())

    def _message(self, request: dict[str, Any]) -> bytes:
        body = request.get("body")
        content = self._own(body).encode() if body is not None else b""
        if encoded := request.get("body_base64"):
            content = base64.b64decode(encoded)
        lines = [self._own(request["line"])]
        for name, text in request["headers"]:
            is_length = name == "Content-Length"
            lines.append(f"{name}: {len(content) if is_length else self._own(text)}")
        return "\r\n".join([*lines, "", ""]).encode() + content

    def _own(self, text: str) -> str:
        text = _TOKEN.sub(self._own_token, text)
        text = text.replace(RECORDED_SECRET, self._orchestrator.tasks["secret1"].secret)
        secret = self._orchestrator.workflows["two_steps"].secret
        text = text.replace(RECORDED_WORKFLOW_SECRET, secret)
        return _JOB_ID.sub(lambda match: self._ids.get(match[0], match[0]), text)

    def _own_token(self, match: re.Match[str]) -> str:
        claims = jwt.decode(match[0], options={"verify_signature": False})
        name = _USERS.get(claims["username"], claims["username"])
        return self._orchestrator.tokens[name]


async def until(condition: Callable[[], bool]) -> None:
    """Waits until something is so; fails when it is not so after a good while."""
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.004)
    raise TimeoutError


async def until_found(condition: Callable[[], Awaitable[object]]) -> None:
    """The same for what has to be asked for: until the answer is true, or not zero."""
    for _ in range(2000):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


async def ask(url: str, message: bytes) -> Response:
    """Sends a request as it is and reads the response off the wire."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 100"):
            head = await reader.readuntil(b"\r\n\r\n")
        status_line, *lines = head.decode().strip().split("\r\n")
        fields = [(name, text) for name, _, text in (line.partition(": ") for line in lines)]
        length = int(dict(fields).get("Content-Length", 0))
        return Response(status_line, fields, await reader.readexactly(length))
    finally:
        writer.close()
        await writer.wait_closed()


def _response(recorded: dict[str, Any]) -> Response:
    fields = [(name, text) for name, text in recorded["headers"]]
    return Response(recorded["line"], fields, (recorded.get("body") or "").encode())


def _ids_before(exchanges: list[dict[str, Any]]) -> set[str]:
    """The ids of the jobs that were there before the recording began."""
    ids = {job_id for job_id, job in _recorded_jobs(exchanges).items() if _stands_alone(job)}
    for exchange in exchanges:
        ids |= set(_JOB_ID.findall(exchange["request"]["line"]))
    created = {
        _response(exchange["response"]).value["id"]
        for exchange in exchanges
        if exchange["request"]["line"].startswith("POST")
        and exchange["response"]["line"].endswith("200 OK")
    }
    return ids - created


def _is_canceled(exchanges: list[dict[str, Any]], job_id: str) -> bool:
    return any(f"/{job_id}/cancel" in exchange["request"]["line"] for exchange in exchanges)


def _planned(arguments: tuple[Any, ...]) -> dict[str, Any]:
    """What the recorded agent was told to make of a job."""
    plan: dict[str, Any] = {}
    if arguments and str(arguments[0]).startswith('{"plan"'):
        plan = json.loads(arguments[0])["plan"]
    log = plan.get("stdout", '{"state":"success","data":["done"]}\n')
    return {"code": plan.get("code", 0), "log": log, "signal": None, "killed": False}


def _recorded_jobs(exchanges: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The jobs the recorded responses show, each as it was last and most fully seen."""
    jobs: dict[str, dict[str, Any]] = {}
    for exchange in exchanges:
        line = exchange["request"]["line"]
        value = _response(exchange["response"]).value
        if match := re.match(r"GET /job/(6b05\w+)/input", line):
            if isinstance(value, list):
                jobs.setdefault(match[1], {})["task_arguments_values"] = value
            continue
        for found in value if isinstance(value, list) else [value]:
            if _is_job(found) and not line.startswith("POST"):
                jobs[found["id"]] = {**jobs.get(found["id"], {}), **found}
    return jobs


def _foreign_jobs(exchanges: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The jobs of the other organization; no response shows them."""
    lines = [
        exchange["request"]["line"]
        for exchange in exchanges
        if exchange.get("note") == "job of another organization"
    ]
    return {job_id: {"task_id": TASKS[-1].id} for line in lines for job_id in _JOB_ID.findall(line)}


def _differences(recorded: Response, response: Response) -> list[str]:
    pairs: list[tuple[str, Any, Any]] = [
        ("status", recorded.status_line, response.status_line),
        ("fields", _comparable_fields(recorded), _comparable_fields(response)),
        ("content", _comparable(recorded.value), _comparable(response.value)),
    ]
    return [
        f"{what}: recorded {theirs!r}, ours {ours!r}"
        for what, theirs, ours in pairs
        if theirs != ours
    ]


def _comparable_fields(response: Response) -> list[tuple[str, str]]:
    return [(name, "" if name in _VOLATILE_FIELDS else text) for name, text in response.fields]


def _comparable(value: Any) -> Any:
    """A content without what differs from run to run; of a job its field names in order."""
    if isinstance(value, list) and value and _is_job(value[0]):
        return [_comparable(job) for job in value]
    if not isinstance(value, dict):
        return value
    if value.keys() >= _NODE_STATE:
        return list(value)
    if not _is_job(value):
        return {name: "" if name == "stack" else found for name, found in value.items()}
    nested = [list(found) for found in value.values() if isinstance(found, dict)]
    same = [(name, value.get(name)) for name in _SAME_IN_JOBS]
    result = [
        (name, list(found) if name in ("times", "user") else found)
        for name, found in value.get("result", {}).items()
    ]
    return list(value), nested, same, result


def _is_job(value: Any) -> bool:
    return isinstance(value, dict) and value.get("_type", "").endswith("Job")


def _stands_alone(job: dict[str, Any]) -> bool:
    """Whether a recorded job is no workflow's."""
    return job.get("_type", "ScriptJob") == "ScriptJob" and "workflow_job_id" not in job
