"""A job as the routes show it: new, whole, and light in lists. Field order is TheEye's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gateway.demo.jobs import StoredJob
from gateway.demo.sessions import Session
from gateway.demo.task_views import (
    HOST_ID,
    SCRIPT_ID,
    Document,
    approvers,
    embedded,
    evaluation,
    script_of,
    short,
)
from gateway.demo.tasks import TaskKind
from gateway.demo.versions import Version


@dataclass(frozen=True, slots=True)
class Instance:
    """The orchestrator that shows a job: where it is, and which version."""

    url: str
    version: Version = Version.ASYNC_ONLY


def created(job: StoredJob, shown_by: Instance) -> Document:
    """What the create routes answer."""
    document = published(job, shown_by)
    if "host" in document:
        document["host"] = {"_id": HOST_ID, "hostname": "agent01", "id": HOST_ID}
    document["user"] = user(job.session) if job.session else {}
    return document


def published(job: StoredJob, shown_by: Instance) -> Document:
    """A job among those of a workflow."""
    task = job.task
    return {
        "order": _order(job),
        "task_arguments_values": list(job.arguments),
        **_options(job, shown_by.version),
        **_kind(job, shown_by.version),
        **_result(job),
        **_environment(job, shown_by),
        "task": short(task),
        "task_id": task.id,
        **_host(job),
        **_name(job),
        **_owner(job),
        **_tail(job),
    }


def full(job: StoredJob, shown_by: Instance) -> Document:
    """What ``GET /:customer/job/:job`` answers."""
    task, is_script = job.task, job.task.kind is TaskKind.SCRIPT
    return {
        "order": _order(job),
        "task_arguments_values": list(job.arguments),
        **_options(job, shown_by.version),
        **({"script_arguments": []} if is_script else {}),
        **_kind(job, shown_by.version),
        **_result(job),
        **_environment(job, shown_by),
        "task": embedded(task, shown_by.version),
        "task_id": task.id,
        **_host(job),
        **_name(job),
        "customer": job.organization.id,
        **_owner(job),
        **({"script": script_of(job.organization)} if is_script else {}),
        **_tail(job),
    }


def light(job: StoredJob, shown_by: Instance) -> Document:
    """A job in a list: no output, result, task nor arguments."""
    return {
        "order": _order(job),
        **_options(job, shown_by.version),
        **_kind(job, shown_by.version),
        **_environment(job, shown_by),
        "task_id": job.task.id,
        **_host(job),
        **_name(job),
        "customer": job.organization.id,
        **_owner(job),
        **_tail(job),
    }


def environment(job: StoredJob, api_url: str) -> dict[str, str]:
    """The environment of the job's command, each value JSON."""
    run = job.run
    return {
        "THEEYE_JOB": _json({"id": job.id, "task_id": job.task.id}),
        "THEEYE_JOB_USER": _json(
            {
                "id": job.session.user_id,
                "email": job.session.email,
                "username": job.session.username,
            }
            if job.session
            else {}
        ),
        "THEEYE_JOB_WORKFLOW": _json({"job_id": run.id, "id": run.workflow.id} if run else {}),
        "THEEYE_ORGANIZATION_NAME": _json(job.organization.name),
        "THEEYE_API_URL": _json(api_url),
    }


def secret(job: StoredJob, version: Version) -> Document:
    """The secret that a job of 4.15.3 has."""
    if not version.tells_of_workflows:
        return {}
    return {"secret": hashlib.sha256(job.id.encode()).hexdigest()}


def user(session: Session) -> Document:
    return {"id": session.user_id, "username": session.username, "email": session.email}


def iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _order(job: StoredJob) -> int:
    return job.run.order if job.run is not None else 0


def _options(job: StoredJob, version: Version) -> Document:
    return {
        "show_result": False,
        "assigned_users": [],
        "user_inputs": job.task.has_user_inputs,
        "user_inputs_members": [],
        "acl": list(job.access_list),
        "empty_viewers": False,
        "acl_dynamic": False,
        "cancellable": job.task.is_cancellable,
        **evaluation(version),
        **approvers(job.task),
    }


def _kind(job: StoredJob, version: Version) -> Document:
    return {
        **({"agent_logging": False} if job.task.kind is TaskKind.SCRIPT else {}),
        "_type": job.type_name,
        "creation_date": iso(job.created),
        "last_update": iso(job.updated),
        **secret(job, version),
    }


def _result(job: StoredJob) -> Document:
    if job.ending is None:
        return {"output": []}
    return {"result": job.ending.result, "output": list(job.ending.output)}


def _environment(job: StoredJob, shown_by: Instance) -> Document:
    is_script = job.task.kind is TaskKind.SCRIPT
    return {"env": environment(job, shown_by.url)} if is_script else {}


def _host(job: StoredJob) -> Document:
    return {"host_id": HOST_ID, "host": HOST_ID} if job.task.kind is TaskKind.SCRIPT else {}


def _name(job: StoredJob) -> Document:
    is_script = job.task.kind is TaskKind.SCRIPT
    return {"name": job.task.name, **({"allows_dynamic_settings": False} if is_script else {})}


def _owner(job: StoredJob) -> Document:
    run = job.run
    of_run = (
        {
            "workflow": run.workflow.id,
            "workflow_id": run.workflow.id,
            "workflow_job": run.id,
            "workflow_job_id": run.id,
        }
        if run is not None
        else {}
    )
    return {
        "customer_id": job.organization.id,
        "customer_name": job.organization.name,
        "state": job.state,
        "lifecycle": job.lifecycle,
        **({"user_id": job.session.user_id} if job.session else {}),
        "notify": True,
        "origin": job.origin,
        "triggered_by": None,
        **of_run,
    }


def _tail(job: StoredJob) -> Document:
    task, ending = job.task, job.ending
    of_kind: Document = {}
    if task.kind is TaskKind.SCRIPT:
        of_kind = {
            "script_id": SCRIPT_ID,
            "script_runas": "%script%",
            "timeout": int(task.timeout_seconds * 1000),
        }
    elif task.kind is TaskKind.APPROVAL:
        of_kind = {"approvals_target": "fixed"}
    trigger = ending.trigger_name if ending is not None else ""
    return {**of_kind, **({"trigger_name": trigger} if trigger else {}), "id": job.id}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
