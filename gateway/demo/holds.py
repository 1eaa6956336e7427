"""What people do with jobs that are on hold: approve, reject, give arguments."""

from __future__ import annotations

from typing import Any

from gateway.demo import answers, showing
from gateway.demo.answers import Reply
from gateway.demo.arguments import kept
from gateway.demo.jobs import Ending, strings
from gateway.demo.routes import Call, Desk, job_of
from gateway.demo.tasks import TaskKind


def approve(desk: Desk, call: Call) -> Reply:
    return _decided(desk, call, "success")


def reject(desk: Desk, call: Call) -> Reply:
    return _decided(desk, call, "failure")


def give_input(desk: Desk, call: Call) -> Reply:
    """The job runs with the arguments of the body, ``{"args": […]}``."""
    job = job_of(desk, call, desk.enter(call))
    if job.task.kind is TaskKind.APPROVAL:
        raise answers.plain(400, "job type not allowed. script and dummy")
    if job.lifecycle != "onhold":
        raise answers.plain(400, "only on hold jobs allowed")
    given: Any = call.body.get("args") if isinstance(call.body, dict) else None
    given = given if isinstance(given, list) else []
    desk.runs.resume(job, tuple(kept(value) for value in given[: job.task.arguments]))
    return Reply(200, showing.full(job, desk.instance))


def _decided(desk: Desk, call: Call, state: str) -> Reply:
    session = desk.enter(call)
    job = job_of(desk, call, session)
    if job.task.kind is not TaskKind.APPROVAL:
        raise answers.plain(400, "unexpected job type. only Approvals")
    if session.user_id not in job.task.approvers:
        raise answers.plain(403, "unauthorized approver")
    if job.lifecycle != "onhold":
        raise answers.plain(409, "approval request no longer available")
    user = {"email": session.email, "id": session.user_id, "username": session.username}
    job.arguments = (*job.arguments, user)
    output = list(job.arguments)
    desk.jobs.end(job, Ending(state, strings(output), {"user": user, "output": output}))
    return answers.NO_CONTENT
