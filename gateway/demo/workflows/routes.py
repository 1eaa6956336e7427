"""What TheEye's routes about workflows answer."""

from __future__ import annotations

from gateway.demo import answers, showing, views
from gateway.demo.answers import RefusedError, Reply
from gateway.demo.arguments import BadArgumentsError, arguments_of
from gateway.demo.cancellation import NotCancellableError
from gateway.demo.jobs import StoredJob, WorkflowJob
from gateway.demo.listing import OBJECT_ID, listed
from gateway.demo.routes import Call, Desk, own_job
from gateway.demo.sessions import PRIVILEGED, Credential, Session
from gateway.demo.workflows.runs import NothingRunsError
from gateway.demo.workflows.views import created_run, definition, run_of_workflow
from gateway.demo.workflows.workflow import Workflow


def define(desk: Desk, call: Call) -> Reply:
    """The definition, graph and all, whatever organization it is of: only its access list counts,
    and those who may use all tasks of theirs read all workflows."""
    session = desk.enter(call)
    workflow = _workflow(desk, call)
    if not session.may_use(workflow.access_list):
        raise answers.plain(403, "Forbidden")
    return Reply(200, definition(workflow))


def start(desk: Desk, call: Call) -> Reply:
    session = desk.enter(call)
    if session.credential == Credential.VIEWER:
        raise answers.plain(403, "forbidden")
    workflow = _workflow(desk, call)
    _belongs(workflow, session)
    if not session.may_use(workflow.access_list):
        raise answers.plain(403, "Forbidden")
    return _started(desk, call, workflow, session)


def start_by_secret(desk: Desk, call: Call) -> Reply:
    workflow = _workflow(desk, call)
    if call.params["secret"] != workflow.secret:
        raise answers.plain(403, "invalid secret")
    return _started(desk, call, workflow, None)


def read(desk: Desk, call: Call) -> Reply:
    """The workflow's job, or one of its task jobs."""
    session = desk.enter(call)
    return Reply(200, _shown(desk, _job_of_workflow(desk, call, session)))


def task_jobs(desk: Desk, call: Call) -> Reply:
    """The task jobs, oldest first; those that the caller may not see are left out."""
    session = desk.enter(call)
    run = _job_of_workflow(desk, call, session)
    found = [job for job in desk.jobs.family(run.id) if session.may_use(job.access_list)]
    shown = [views.published(job, desk.instance) for job in found]
    return Reply(200, shown, returned=len(found), scanned=len(found))


def list_(desk: Desk, call: Call) -> Reply:
    """Light: the workflow's jobs and their task jobs."""
    session = _admin(desk, call)
    workflow = _own_workflow(desk, call, session)
    query = {**call.query, "where[workflow_id]": [workflow.id]}
    found = listed(desk.jobs, session, query, desk.ranges)
    jobs = [showing.light(job, desk.instance) for job in found.jobs]
    return Reply(200, jobs, returned=len(jobs), scanned=found.scanned)


def cancel(desk: Desk, call: Call) -> Reply:
    session = _admin(desk, call)
    run = own_job(desk, call, session)
    if not isinstance(run, WorkflowJob):
        raise answers.plain(400, "parent workflow job required")
    try:
        desk.runs.cancel(run, session)
    except (NotCancellableError, NothingRunsError) as error:
        raise answers.plain(500, str(error)) from error
    return answers.EMPTY


def remove(desk: Desk, call: Call) -> Reply:
    """Removes those jobs of the workflow that are over."""
    session = _admin(desk, call)
    workflow = _workflow(desk, call)
    _belongs(workflow, session)
    desk.runs.remove_ended(workflow)
    return Reply(202, {})


def _started(desk: Desk, call: Call, workflow: Workflow, session: Session | None) -> Reply:
    if workflow.start is None:
        raise answers.plain(400, "workflow first task not found")
    try:
        arguments = arguments_of(workflow.start.arguments, call.body, call.query)
    except BadArgumentsError as error:
        raise answers.plain(400, str(error)) from error
    run, first = desk.runs.start(workflow, session, arguments)
    reply = Reply(200, created_run(run, desk.version))
    desk.agent.take(first)
    return reply


def _shown(desk: Desk, job: StoredJob) -> object:
    if isinstance(job, WorkflowJob):
        return run_of_workflow(job, desk.version)
    return views.published(job, desk.instance)


def _admin(desk: Desk, call: Call) -> Session:
    session = desk.enter(call)
    if session.credential not in PRIVILEGED:
        raise answers.plain(403, "forbidden")
    return session


def _workflow(desk: Desk, call: Call) -> Workflow:
    """The workflow that the path names, whatever organization it is of."""
    if not OBJECT_ID.fullmatch(call.params["workflow"]):
        raise answers.plain(400, "workflow id is invalid")
    workflow = desk.workflows.get(call.params["workflow"])
    if workflow is None:
        raise answers.plain(404, "workflow not found")
    return workflow


def _own_workflow(desk: Desk, call: Call, session: Session) -> Workflow:
    """The workflow that the path names, if it is of the session's organization."""
    try:
        workflow = _workflow(desk, call)
    except RefusedError as refused:
        is_missing = refused.reply.status == 404
        said = "workflow not found" if is_missing else "workflow invalid value"
        raise answers.detailed(refused.reply.status, said) from refused
    if workflow.organization != session.organization:
        raise answers.detailed(404, "workflow not found")
    return workflow


def _belongs(workflow: Workflow, session: Session) -> None:
    """Refuses a good token, with 401, where the workflow is another organization's."""
    if workflow.organization != session.organization:
        raise answers.plain(401, "forbidden")


def _job_of_workflow(desk: Desk, call: Call, session: Session) -> StoredJob:
    """The job that the path names, the workflow's own or a task's."""
    workflow = _own_workflow(desk, call, session)
    job = own_job(desk, call, session)
    run = job if isinstance(job, WorkflowJob) else job.run
    if run is None or run.workflow.id != workflow.id:
        raise answers.detailed(400, "Job does not belong to the Workflow")
    return job
