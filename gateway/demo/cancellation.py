"""What cancelling makes of a job, by version."""

from __future__ import annotations

from typing import Any

from gateway.demo.jobs import Ending, StoredJob, strings
from gateway.demo.sessions import Credential, Session
from gateway.demo.versions import Version

_UNDONE = {"ready": "canceled", "onhold": "canceled", "assigned": "terminated"}
"""The lifecycles that can be cancelled by rule, and what becomes of them."""
_ALWAYS_ALLOWED = frozenset({Credential.MANAGER, Credential.AGENT})


class NotCancellableError(Exception):
    """The job's lifecycle does not allow it; the text is TheEye's."""


def may_cancel(version: Version, session: Session, job: StoredJob) -> bool:
    """Whether the access list lets a session cancel: 4.15.3 lets managers and agents anyway."""
    is_let_in = version is Version.NEWEST and session.credential in _ALWAYS_ALLOWED
    return is_let_in or session.may_use(job.access_list)


def canceled_by(session: Session, version: Version, job: StoredJob) -> Ending | None:
    """How a job ends that somebody cancels: whoever does is its output. None: it stays as it is.

    4.4.3 and 4.6.0 do it to jobs that have ended too. 4.15.3 says 204 to all, and does it to those
    that are ready, on hold or assigned.
    """
    user = {"email": session.email, "id": session.user_id, "username": session.username}
    output, result = strings([user]), {"user": user, "output": [user]}
    if version is not Version.NEWEST:
        state = "canceled" if version is Version.ASYNC_ONLY else "success"
        return Ending(state, output, result, event="canceled")
    if job.lifecycle not in _UNDONE:
        return None
    return Ending("canceled", output, result, _UNDONE[job.lifecycle])


def canceled_with_its_workflow(session: Session, version: Version, job: StoredJob) -> Ending:
    """How a task job ends whose workflow somebody cancels.

    Raises:
        NotCancellableError: it has ended, or is in between.
    """
    if job.lifecycle not in _UNDONE:
        raise NotCancellableError(
            f'cannot cancel job. current state lifecycle "{job.lifecycle}" '
            "does not allow the transition"
        )
    result: dict[str, Any] = {"user": {"email": session.email, "id": session.user_id}}
    is_silent = version is not Version.NEWEST
    return Ending("canceled", (None,), result, _UNDONE[job.lifecycle], is_silent=is_silent)
