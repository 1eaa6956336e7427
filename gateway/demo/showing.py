"""Jobs of both kinds as lists and reads show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.demo import views
from gateway.demo.jobs import WorkflowJob
from gateway.demo.workflows.views import full_run, light_run

if TYPE_CHECKING:
    from gateway.demo.jobs import StoredJob
    from gateway.demo.task_views import Document
    from gateway.demo.views import Instance


def full(job: StoredJob, shown_by: Instance) -> Document:
    """What ``GET /:customer/job/:job`` answers, whatever the job is."""
    if isinstance(job, WorkflowJob):
        return full_run(job, shown_by.version)
    return views.full(job, shown_by)


def light(job: StoredJob, shown_by: Instance) -> Document:
    """A job in a list, whatever it is."""
    if isinstance(job, WorkflowJob):
        return light_run(job, shown_by.version)
    return views.light(job, shown_by)
