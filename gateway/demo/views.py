"""A job as the routes show it: new, whole, and light in lists. Field order is TheEye's."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import msgspec

from gateway.demo.jobs import StoredJob
from gateway.demo.sessions import Organization, Session
from gateway.demo.tasks import Task

_HOST_ID = "64c000000000000000000001"
_SCRIPT_ID = "64d000000000000000000001"
_SINCE = "2023-01-01T00:00:00.000Z"

Document = dict[str, Any]


def created(job: StoredJob, api_url: str) -> Document:
    """What the create routes answer."""
    task = job.task
    return {
        "order": 0,
        "task_arguments_values": list(job.arguments),
        **_options(task),
        **_kind(job),
        "output": [],
        "env": environment(job, api_url),
        "task": {
            "id": task.id,
            "_type": "ScriptTask",
            "type": "script",
            "task_arguments": definitions(task),
            "output_parameters": [],
        },
        "task_id": task.id,
        "host_id": _HOST_ID,
        "host": {"_id": _HOST_ID, "hostname": "agent01", "id": _HOST_ID},
        **_name(task),
        **_owner(job),
        "script_id": _SCRIPT_ID,
        **_tail(job),
        "user": _user(job.session) if job.session else {},
    }


def full(job: StoredJob, api_url: str) -> Document:
    """What ``GET /:customer/job/:job`` answers."""
    task = job.task
    return {
        "order": 0,
        "task_arguments_values": list(job.arguments),
        **_options(task),
        "script_arguments": [],
        **_kind(job),
        **({"result": job.ending.result} if job.ending else {}),
        "output": list(job.ending.output) if job.ending else [],
        "env": environment(job, api_url),
        "task": _task(task),
        "task_id": task.id,
        "host_id": _HOST_ID,
        "host": _HOST_ID,
        **_name(task),
        "customer": job.organization.id,
        **_owner(job),
        "script": _script(job.organization),
        "script_id": _SCRIPT_ID,
        **_tail(job, trigger=True),
    }


def light(job: StoredJob, api_url: str) -> Document:
    """A job in a list: no output, result, task nor arguments."""
    task = job.task
    return {
        "order": 0,
        **_options(task),
        **_kind(job),
        "env": environment(job, api_url),
        "task_id": task.id,
        "host_id": _HOST_ID,
        "host": _HOST_ID,
        **_name(task),
        "customer": job.organization.id,
        **_owner(job),
        "script_id": _SCRIPT_ID,
        **_tail(job, trigger=True),
    }


def definitions(task: Task) -> list[Document]:
    return [
        {
            "id": index,
            "order": index,
            "type": "input",
            "label": f"arg{index}",
            "required": True,
            "readonly": False,
        }
        for index in range(task.arguments)
    ]


def environment(job: StoredJob, api_url: str) -> dict[str, str]:
    """The environment of the job's command, each value JSON."""
    user = job.session
    return {
        "THEEYE_JOB": _json({"id": job.id, "task_id": job.task.id}),
        "THEEYE_JOB_USER": _json(
            {"id": user.user_id, "email": user.email, "username": user.username} if user else {}
        ),
        "THEEYE_JOB_WORKFLOW": "{}",
        "THEEYE_ORGANIZATION_NAME": _json(job.organization.name),
        "THEEYE_API_URL": _json(api_url),
    }


def _options(task: Task) -> Document:
    return {
        "show_result": False,
        "assigned_users": [],
        "user_inputs": False,
        "user_inputs_members": [],
        "acl": list(task.access_list),
        "empty_viewers": False,
        "acl_dynamic": False,
        "cancellable": True,
    }


def _kind(job: StoredJob) -> Document:
    return {
        "agent_logging": False,
        "_type": "ScriptJob",
        "creation_date": _iso(job.created),
        "last_update": _iso(job.updated),
    }


def _name(task: Task) -> Document:
    return {"name": task.name, "allows_dynamic_settings": False}


def _owner(job: StoredJob) -> Document:
    return {
        "customer_id": job.organization.id,
        "customer_name": job.organization.name,
        "state": job.state,
        "lifecycle": job.lifecycle,
        **({"user_id": job.session.user_id} if job.session else {}),
        "notify": True,
        "origin": "user" if job.session else "secret",
        "triggered_by": None,
    }


def _tail(job: StoredJob, *, trigger: bool = False) -> Document:
    return {
        "script_runas": "%script%",
        "timeout": int(job.task.timeout_seconds * 1000),
        **({"trigger_name": job.ending.trigger_name} if trigger and job.ending else {}),
        "id": job.id,
    }


def _user(session: Session) -> Document:
    return {"id": session.user_id, "username": session.username, "email": session.email}


def _task(task: Task) -> Document:
    return {
        "order": 0,
        "enable": True,
        "type": "script",
        "public": False,
        "tags": [],
        "triggers": [],
        "grace_time": 0,
        "task_arguments": definitions(task),
        "arguments_type": "legacy",
        "output_parameters": [],
        "register_body": False,
        "execution_count": 0,
        "multitasking": True,
        "show_result": False,
        "assigned_users": [],
        "user_inputs": False,
        "user_inputs_members": [],
        "acl": list(task.access_list),
        "empty_viewers": False,
        "cancellable": True,
        "autoremove_completed_jobs_limit": task.kept_jobs,
        "version": 1,
        "fingerprint": str(uuid.uuid5(uuid.NAMESPACE_OID, task.id)),
        "agent_logging": False,
        "_type": "ScriptTask",
        "creation_date": _SINCE,
        "last_update": _SINCE,
        "name": task.name,
        "customer": None,
        "customer_id": task.organization.id,
        "host": None,
        "host_id": _HOST_ID,
        "script": _SCRIPT_ID,
        "script_id": _SCRIPT_ID,
        "script_runas": "%script%",
        "timeout": int(task.timeout_seconds * 1000),
        "autoremove_completed_jobs": True,
        "allows_dynamic_settings": False,
        "id": task.id,
    }


def _script(organization: Organization) -> Document:
    return {
        "order": 0,
        "enable": True,
        "acl": [],
        "tags": [],
        "description": "",
        "md5": "5d41402abc4b2a76b9719d911017c592",
        "_type": "Script",
        "_id": _SCRIPT_ID,
        "customer": organization.id,
        "customer_id": organization.id,
        "customer_name": organization.name,
        "filename": "main.py",
        "keyname": "main.py[ts:1690000000000]",
        "mimetype": "text/x-python",
        "extension": "py",
        "size": 11,
        "creation_date": _SINCE,
        "last_update": _SINCE,
        "id": _SCRIPT_ID,
    }


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
