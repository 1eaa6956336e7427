"""What TheEye's routes about jobs and their tasks answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.demo import answers, showing, views
from gateway.demo.agent import Agent
from gateway.demo.answers import Reply
from gateway.demo.arguments import BadArgumentsError, Query, arguments_of
from gateway.demo.cancellation import canceled_by, may_cancel
from gateway.demo.identity import organization_of, session_of
from gateway.demo.jobs import RUNNING_LIFECYCLES, WAITING_LIFECYCLES, Jobs, StoredJob
from gateway.demo.listing import OBJECT_ID, Ranges, listed
from gateway.demo.sessions import PRIVILEGED, Credential, Session, Sessions
from gateway.demo.task_views import definitions
from gateway.demo.tasks import Task, TaskKind
from gateway.demo.versions import Version
from gateway.demo.views import Instance
from gateway.demo.workflows.runs import Runs
from gateway.demo.workflows.workflow import Workflow

_LIFECYCLES = RUNNING_LIFECYCLES | {"finished", "terminated", "canceled", "expired", "completed"}


class Operation(StrEnum):
    """What a request is for; requests are counted by it."""

    CREATE = "create"
    READ = "read"
    LIFECYCLE = "lifecycle"
    OUTPUT = "output"
    LIST = "list"
    CANCEL = "cancel"
    ACT = "act"
    """What people do with jobs that are on hold."""
    WORKFLOW = "workflow"
    """A workflow's definition."""
    RUN = "run"
    """A workflow's job."""
    TASK_JOBS = "task_jobs"
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
    workflows: Mapping[str, Workflow]
    """By id."""
    runs: Runs
    version: Version
    ranges: Ranges = Ranges.KNOWN

    @property
    def instance(self) -> Instance:
        return Instance(self.api_url(), self.version)

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
    return Reply(200, showing.full(job_of(desk, call, desk.enter(call)), desk.instance))


def lifecycle(desk: Desk, call: Call) -> Reply:
    found = job_of(desk, call, _user(desk, call)).lifecycle
    return Reply(200, found) if found else answers.EMPTY


def cancel(desk: Desk, call: Call) -> Reply:
    """Cancels any organization's job: TheEye checks only that of the path."""
    session = desk.enter(call)
    job = named_job(desk, call)
    if not may_cancel(desk.version, session, job):
        raise answers.plain(403, "Forbidden")
    if not job.task.is_cancellable and session.credential not in PRIVILEGED:
        raise answers.plain(403, "Job is not cancellable")
    ending = canceled_by(session, desk.version, job)
    if ending is not None:
        desk.jobs.end(job, ending, again=desk.version.cancels_the_ended)
    return answers.NO_CONTENT


def output(desk: Desk, call: Call) -> Reply:
    job = _own_job(desk, call)
    return Reply(200, job.ending.output if job.ending else ())


def input_(desk: Desk, call: Call) -> Reply:
    job = _own_job(desk, call)
    if "include_definitions" not in call.query:
        return Reply(200, job.arguments)
    task = {"task_arguments": definitions(job.task)}
    return Reply(200, {"task_arguments_values": job.arguments, "task": task})


def list_(desk: Desk, call: Call) -> Reply:
    """Light jobs; an agent would get the next job to run, if it named its host."""
    session = desk.enter(call)
    if session.credential == Credential.AGENT:
        raise answers.plain(400, "host is required")
    found = listed(desk.jobs, session, call.query, desk.ranges)
    jobs = [showing.light(job, desk.instance) for job in found.jobs]
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
    if task.kind is TaskKind.APPROVAL:
        begins = "onhold"
    job = desk.jobs.create(task, session, arguments, begins)
    if task.kind is TaskKind.DUMMY:
        desk.agent.take(job)
    reply = Reply(200, views.created(job, desk.instance))
    desk.agent.take(job)
    return reply


def _user(desk: Desk, call: Call) -> Session:
    """The caller's session, which has to be more than a viewer's."""
    session = desk.enter(call)
    if session.credential == Credential.VIEWER:
        raise answers.plain(403, "forbidden")
    return session


def named_job(desk: Desk, call: Call) -> StoredJob:
    """The job that the path names, whatever organization it is of."""
    if not OBJECT_ID.fullmatch(call.params["job"]):
        raise answers.plain(400, "job id is invalid")
    job = desk.jobs.get(call.params["job"])
    if job is None:
        raise answers.plain(404, "job not found")
    return job


def job_of(desk: Desk, call: Call, session: Session) -> StoredJob:
    """The job that the path names, if its access list lets the session in."""
    job = named_job(desk, call)
    if not session.may_use(job.access_list):
        raise answers.plain(403, "Forbidden")
    return job


def own_job(desk: Desk, call: Call, session: Session) -> StoredJob:
    """The job that the path names, if it is of the session's organization."""
    if not OBJECT_ID.fullmatch(call.params["job"]):
        raise answers.detailed(400, "job invalid value")
    job = desk.jobs.get(call.params["job"])
    if job is None or job.organization != session.organization:
        raise answers.detailed(404, "job not found")
    return job


def _own_job(desk: Desk, call: Call) -> StoredJob:
    session = desk.enter(call)
    job = own_job(desk, call, session)
    if not session.may_use(job.access_list):
        raise answers.detailed(403, "Forbidden")
    return job
