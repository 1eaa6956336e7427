"""A task as jobs show it: short in new ones, whole in others. Field order is TheEye's."""

from __future__ import annotations

import uuid
from typing import Any

from gateway.demo.sessions import Organization
from gateway.demo.tasks import Task, TaskKind
from gateway.demo.versions import Version

HOST_ID = "64c000000000000000000001"
SCRIPT_ID = "64d000000000000000000001"
SINCE = "2023-01-01T00:00:00.000Z"

Document = dict[str, Any]


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


def short(task: Task) -> Document:
    """A task in a new job."""
    return {
        "id": task.id,
        "_type": task.type_name,
        "type": task.kind,
        **approvers(task),
        "task_arguments": definitions(task),
        "output_parameters": [],
    }


def embedded(task: Task, version: Version) -> Document:
    """A task in a job that is read."""
    tail: Document = {"autoremove_completed_jobs": True}
    if task.kind is not TaskKind.SCRIPT:
        target = {"approvals_target": "fixed"} if task.kind is TaskKind.APPROVAL else {}
        tail = {**target, **tail, "id": task.id, "host": None}
    else:
        tail = {"host": None, **_script(task), **tail, "allows_dynamic_settings": False}
        tail["id"] = task.id
    return {**_head(task, version), **_identity(task, None), **tail}


def populated(task: Task, workflow_id: str, version: Version) -> Document:
    """A task in a workflow's job that is read: as the database has it."""
    organization_id = task.organization.id
    return {
        **_head(task, version),
        "secret": task.secret,
        "_id": task.id,
        **_identity(task, organization_id),
        "host": HOST_ID,
        **_script(task),
        "autoremove_completed_jobs": True,
        "allows_dynamic_settings": False,
        "workflow": workflow_id,
        "workflow_id": workflow_id,
        "__v": 0,
    }


def script_of(organization: Organization) -> Document:
    """The script in a job that is read."""
    return {
        "order": 0,
        "enable": True,
        "acl": [],
        "tags": [],
        "description": "",
        "md5": "5d41402abc4b2a76b9719d911017c592",
        "_type": "Script",
        "_id": SCRIPT_ID,
        "customer": organization.id,
        "customer_id": organization.id,
        "customer_name": organization.name,
        "filename": "main.py",
        "keyname": "main.py[ts:1690000000000]",
        "mimetype": "text/x-python",
        "extension": "py",
        "size": 11,
        "creation_date": SINCE,
        "last_update": SINCE,
        "id": SCRIPT_ID,
    }


def approvers(task: Task) -> Document:
    return {"approvers": list(task.approvers)} if task.kind is TaskKind.APPROVAL else {}


def evaluation(version: Version) -> Document:
    """What 4.6.0 makes of a state that is none of its own."""
    return {"default_state_evaluation": "success"} if version is Version.FIRST_SYNC else {}


def _head(task: Task, version: Version) -> Document:
    is_newest = version is Version.NEWEST
    enabled = dict.fromkeys(
        ("success_enabled", "failure_enabled", "cancel_enabled", "ignore_enabled"), True
    )
    return {
        "order": 0,
        "enable": True,
        "type": task.kind,
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
        "user_inputs": task.has_user_inputs,
        "user_inputs_members": [],
        "acl": list(task.access_list),
        "empty_viewers": False,
        "cancellable": task.is_cancellable,
        "autoremove_completed_jobs_limit": task.kept_jobs,
        "version": 1,
        "fingerprint": str(uuid.uuid5(uuid.NAMESPACE_OID, task.id)),
        **evaluation(version),
        **({"stack_scheduled_executions": False} if is_newest else {}),
        **({"agent_logging": False} if task.kind is TaskKind.SCRIPT else {}),
        **(enabled if task.kind is TaskKind.APPROVAL else {}),
        **approvers(task),
        "_type": task.type_name,
        "creation_date": SINCE,
        "last_update": SINCE,
    }


def _identity(task: Task, customer: str | None) -> Document:
    return {"name": task.name, "customer": customer, "customer_id": task.organization.id}


def _script(task: Task) -> Document:
    return {
        "host_id": HOST_ID,
        "script": SCRIPT_ID,
        "script_id": SCRIPT_ID,
        "script_runas": "%script%",
        "timeout": int(task.timeout_seconds * 1000),
    }
