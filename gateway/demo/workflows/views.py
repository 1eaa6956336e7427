"""A workflow, and its jobs, as the routes show them. Field order is TheEye's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.demo.task_views import SINCE, Document, evaluation, populated, short
from gateway.demo.views import iso, secret, user
from gateway.demo.workflows.workflow import Workflow

if TYPE_CHECKING:
    from gateway.demo.jobs import WorkflowJob
    from gateway.demo.versions import Version


def created_run(run: WorkflowJob, version: Version) -> Document:
    """What the create routes answer."""
    return {
        **_head(run),
        "_id": run.id,
        **_input(run),
        **_options(run, version),
        **_lifecycle(run),
        "task": short(run.task),
        **_owner(run),
        **_dates(run),
        "output": [],
        **secret(run, version),
        **_paths(run, version),
        "id": run.id,
        "user": user(run.session) if run.session else {},
    }


def run_of_workflow(run: WorkflowJob, version: Version) -> Document:
    """What ``GET /workflows/:workflow/job/:job`` answers."""
    return _read(run, version, {"task": short(run.task)})


def full_run(run: WorkflowJob, version: Version) -> Document:
    """What ``GET /:customer/job/:job`` answers."""
    task = populated(run.task, run.workflow.id, version)
    return _read(run, version, {"task": task, "customer": run.organization.id})


def light_run(run: WorkflowJob, version: Version) -> Document:
    """A workflow's job in a list: no arguments, output nor task."""
    return {
        **_head(run),
        **_options(run, version),
        **_dates(run),
        **secret(run, version),
        "_id": run.id,
        **_lifecycle(run),
        "customer": run.organization.id,
        **_owner(run),
        **_paths(run, version),
        **_trigger(run),
        "id": run.id,
    }


def definition(workflow: Workflow) -> Document:
    """What ``GET /workflows/:workflow`` answers; there is no recording of it."""
    started_by = None if workflow.start is None else workflow.start.id
    return {
        "order": 0,
        "description": "",
        "tags": [],
        "triggers": [],
        "table_view": False,
        "assigned_users": [],
        "user_inputs_members": [],
        "acl": list(workflow.access_list),
        "empty_viewers": False,
        "acl_dynamic": False,
        "_type": "Workflow",
        "autoremove_completed_jobs_limit": workflow.kept_runs,
        "creation_date": SINCE,
        "last_update": SINCE,
        "name": workflow.name,
        "graph": workflow.graph(),
        "start_task_id": started_by,
        "start_task": started_by,
        "customer": workflow.organization.id,
        "customer_id": workflow.organization.id,
        **({} if workflow.version is None else {"version": workflow.version}),
        "id": workflow.id,
    }


def _read(run: WorkflowJob, version: Version, task: Document) -> Document:
    return {
        **_head(run),
        **_input(run),
        **_options(run, version),
        **_dates(run),
        "output": [],
        **secret(run, version),
        "_id": run.id,
        **_lifecycle(run),
        **task,
        **_owner(run),
        **_paths(run, version),
        **_trigger(run),
        "id": run.id,
    }


def _head(run: WorkflowJob) -> Document:
    return {
        "order": run.order,
        "enable": True,
        "state": run.state,
        "assigned_users": [],
        "user_inputs_members": [],
        "acl": list(run.access_list),
        "empty_viewers": False,
        "acl_dynamic": False,
    }


def _input(run: WorkflowJob) -> Document:
    return {"task_arguments_values": list(run.arguments)}


def _options(run: WorkflowJob, version: Version) -> Document:
    return {
        "show_result": False,
        "user_inputs": False,
        "cancellable": True,
        **evaluation(version),
        "_type": run.type_name,
    }


def _dates(run: WorkflowJob) -> Document:
    return {"creation_date": iso(run.created), "last_update": iso(run.updated)}


def _lifecycle(run: WorkflowJob) -> Document:
    return {"lifecycle": run.lifecycle} if run.lifecycle else {}


def _owner(run: WorkflowJob) -> Document:
    return {
        "notify": True,
        "origin": run.origin,
        "workflow": run.workflow.id,
        "workflow_id": run.workflow.id,
        "name": run.workflow.name,
        "customer_id": run.organization.id,
        "customer_name": run.organization.name,
        **({"user_id": run.session.user_id} if run.session else {}),
    }


def _paths(run: WorkflowJob, version: Version) -> Document:
    return {"active_paths_counter": run.active_paths} if version.tells_of_workflows else {}


def _trigger(run: WorkflowJob) -> Document:
    trigger = run.ending.trigger_name if run.ending is not None else ""
    return {"trigger_name": trigger} if trigger else {}
