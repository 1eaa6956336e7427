"""TheEye's routes: which there are, and what each answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from gateway.demo import answers, views
from gateway.demo.agent import Agent
from gateway.demo.answers import Reply
from gateway.demo.arguments import BadArgumentsError, Query, arguments_of
from gateway.demo.identity import organization_of, session_of
from gateway.demo.jobs import RUNNING_LIFECYCLES, WAITING_LIFECYCLES, Jobs, StoredJob, canceled_by
from gateway.demo.listing import OBJECT_ID, Ranges, listed
from gateway.demo.sessions import Credential, Session, Sessions
from gateway.demo.tasks import Task

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LIFECYCLES = RUNNING_LIFECYCLES | {"finished", "terminated", "canceled", "expired", "completed"}


class Operation(StrEnum):
    """What a request is for; requests are counted by it."""

    CREATE = "create"
    READ = "read"
    LIFECYCLE = "lifecycle"
    OUTPUT = "output"
    LIST = "list"
    CANCEL = "cancel"
    HEALTH = "health"
    OPTIONS = "options"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as the routes see it."""

    params: Mapping[str, str]
    query: Query
    body: Any
    authorization: str
    token_in_query: Any


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work on."""

    jobs: Jobs
    tasks: Mapping[str, Task]
    """By id."""
    sessions: Sessions
    agent: Agent
    api_url: Callable[[], str]
    ranges: Ranges = Ranges.KNOWN

    def enter(self, call: Call) -> Session:
        """The caller's session, if it may enter the organization it names."""
        session = session_of(self.sessions, call.authorization, call.token_in_query, call.body)
        organization_of(session, call.params, call.query, call.body)
        return session


Handler = Callable[[Desk, Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    purpose: Operation
    handle: Handler


def create(desk: Desk, call: Call) -> Reply:
    """A job by token. The older routes neither check the task's organization nor detail errors."""
    session = desk.enter(call)
    is_old = "customer" in call.params
    if session.credential == Credential.VIEWER:
        raise answers.plain(403, "forbidden")
    task = _task(desk, _task_id(call), is_old=is_old)
    if not is_old and task.organization != session.organization:
        raise answers.detailed(404, "task not found")
    if not session.may_use(task.access_list):
        raise answers.plain(403, "Forbidden")
    return _created(desk, call, task, session)


def create_by_secret(desk: Desk, call: Call) -> Reply:
    task = _task(desk, _task_id(call), is_old=True)
    if call.params["secret"] != task.secret:
        raise answers.plain(403, "invalid secret")
    return _created(desk, call, task, None)


def read(desk: Desk, call: Call) -> Reply:
    """The whole job, whatever organization it is of: TheEye checks only that of the path."""
    return Reply(200, views.full(_job(desk, call, desk.enter(call)), desk.api_url()))


def lifecycle(desk: Desk, call: Call) -> Reply:
    return Reply(200, _job(desk, call, _user(desk, call)).lifecycle)


def cancel(desk: Desk, call: Call) -> Reply:
    session = _user(desk, call)
    desk.jobs.end(_job(desk, call, session), canceled_by(session))
    return answers.NO_CONTENT


def output(desk: Desk, call: Call) -> Reply:
    job = _own_job(desk, call)
    return Reply(200, job.ending.output if job.ending else ())


def input_(desk: Desk, call: Call) -> Reply:
    job = _own_job(desk, call)
    if "include_definitions" not in call.query:
        return Reply(200, job.arguments)
    definitions = {"task_arguments": views.definitions(job.task)}
    return Reply(200, {"task_arguments_values": job.arguments, "task": definitions})


def list_(desk: Desk, call: Call) -> Reply:
    """Light jobs; an agent would get the next job to run, if it named its host."""
    session = desk.enter(call)
    if session.credential == Credential.AGENT:
        raise answers.plain(400, "host is required")
    url, found = desk.api_url(), listed(desk.jobs, session, call.query, desk.ranges)
    jobs = [views.light(job, url) for job in found.jobs]
    return Reply(200, jobs, returned=len(jobs), scanned=found.scanned)


def health(_desk: Desk, _call: Call) -> Reply:
    return Reply(200, "Hi, I am ok. Thanks for asking")


def status(_desk: Desk, _call: Call) -> Reply:
    """The node's state; this one has none worth telling."""
    return Reply(
        200,
        {
            "status": "Node is ok.",
            "node_hostname": "demo",
            "node_uptime": "2023-01-01T00:00:00.000Z",
            "process_uptime": "2023-01-01T00:00:00.000Z",
            "theeye_version": "demo",
            "load_average": [0, 0, 0],
            "env": "demo",
        },
    )


def _route(method: str, path: str, purpose: Operation, handle: Handler) -> Route:
    pattern = re.sub(r":(\w+)", r"(?P<\1>[^/]{1,100})", path)
    return Route(method, re.compile(pattern), purpose, handle)


_ANY = re.compile(".*")
_OPTIONS = Route("OPTIONS", _ANY, Operation.OPTIONS, lambda _desk, _call: answers.NO_CONTENT)
ROUTES = (
    _route("GET", "/api", Operation.HEALTH, health),
    _route("GET", "/api/status", Operation.HEALTH, status),
    _route("POST", "/task/:task/job", Operation.CREATE, create),
    _route("POST", "/task/:task/secret/:secret/job", Operation.CREATE, create_by_secret),
    _route("POST", "/job", Operation.CREATE, create),
    _route("POST", "/job/secret/:secret", Operation.CREATE, create_by_secret),
    _route("GET", "/job/:job/output", Operation.OUTPUT, output),
    _route("GET", "/job/:job/input", Operation.OUTPUT, input_),
    _route("POST", "/:customer/task/:task/job", Operation.CREATE, create),
    _route("POST", "/:customer/task/:task/secret/:secret/job", Operation.CREATE, create_by_secret),
    _route("POST", "/:customer/job", Operation.CREATE, create),
    _route("GET", "/:customer/job", Operation.LIST, list_),
    _route("GET", "/:customer/job/:job", Operation.READ, read),
    _route("GET", "/:customer/job/:job/lifecycle", Operation.LIFECYCLE, lifecycle),
    _route("PUT", "/:customer/job/:job/cancel", Operation.CANCEL, cancel),
)


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request and the path's parameters; where there is none, one that says so."""
    if method == "OPTIONS":
        return _OPTIONS, {}
    allowed: list[str] = []
    if not _BAD_ESCAPE.search(path):
        for route in ROUTES:
            match = route.pattern.fullmatch(path)
            if match is None:
                continue
            if route.method == method:
                return route, {name: unquote(text) for name, text in match.groupdict().items()}
            allowed.append(route.method)
    return _missing(method, path, allowed), {}


def _missing(method: str, path: str, allowed: list[str]) -> Route:
    if allowed:
        fields = (("Allow", ", ".join(allowed)),)
        refused = answers.coded(405, "MethodNotAllowed", f"{method} is not allowed", fields)
    else:
        refused = answers.coded(404, "ResourceNotFound", f"{path} does not exist")
    return Route(method, _ANY, Operation.OTHER, lambda _desk, _call: refused.reply)


def _task_id(call: Call) -> str:
    named: Any = call.params.get("task") or call.query.get("task", [""])[0]
    if not named and isinstance(call.body, dict):
        named = call.body.get("task") or ""
    return named if isinstance(named, str) else ""


def _task(desk: Desk, task_id: str, *, is_old: bool) -> Task:
    refuse = answers.plain if is_old else answers.detailed
    if not OBJECT_ID.fullmatch(task_id):
        raise refuse(400, "task id is invalid" if is_old else "task invalid value")
    if task_id not in desk.tasks:
        raise refuse(404, "task not found")
    return desk.tasks[task_id]


def _created(desk: Desk, call: Call, task: Task, session: Session | None) -> Reply:
    wanted = call.body.get("lifecycle", "ready") if isinstance(call.body, dict) else "ready"
    if wanted not in _LIFECYCLES:
        raise answers.detailed(400, f"Invalid lifecycle {wanted}")
    try:
        arguments = arguments_of(task.arguments, call.body, call.query)
    except BadArgumentsError as error:
        raise answers.detailed(400, str(error)) from error
    begins = wanted if wanted in WAITING_LIFECYCLES else "ready"
    job = desk.jobs.create(task, session, arguments, begins)
    reply = Reply(200, views.created(job, desk.api_url()))
    if begins == "ready":
        desk.agent.take(job)
    return reply


def _user(desk: Desk, call: Call) -> Session:
    """The caller's session, which has to be more than a viewer's."""
    session = desk.enter(call)
    if session.credential == Credential.VIEWER:
        raise answers.plain(403, "forbidden")
    return session


def _job(desk: Desk, call: Call, session: Session) -> StoredJob:
    if not OBJECT_ID.fullmatch(call.params["job"]):
        raise answers.plain(400, "job id is invalid")
    job = desk.jobs.get(call.params["job"])
    if job is None:
        raise answers.plain(404, "job not found")
    if not session.may_use(job.task.access_list):
        raise answers.plain(403, "Forbidden")
    return job


def _own_job(desk: Desk, call: Call) -> StoredJob:
    """The job, if it is of the session's organization."""
    session = desk.enter(call)
    if not OBJECT_ID.fullmatch(call.params["job"]):
        raise answers.detailed(400, "job invalid value")
    job = desk.jobs.get(call.params["job"])
    if job is None or job.organization != session.organization:
        raise answers.detailed(404, "job not found")
    if not session.may_use(job.task.access_list):
        raise answers.detailed(403, "Forbidden")
    return job
