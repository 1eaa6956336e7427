"""The versions of TheEye that the orchestrator can be, and what they do differently."""

from __future__ import annotations

from enum import StrEnum


class Version(StrEnum):
    """A recorded version. None has a sync mode here: the gateway's own stands in front."""

    ASYNC_ONLY = "4.4.3"
    FIRST_SYNC = "4.6.0"
    NEWEST = "4.15.3"

    @property
    def keeps_any_state(self) -> bool:
        """Whether a job's state is whatever the agent says."""
        return self is Version.ASYNC_ONLY

    @property
    def cancels_the_ended(self) -> bool:
        """Whether cancelling a job that has ended overwrites its result."""
        return self is not Version.NEWEST

    @property
    def tells_of_workflows(self) -> bool:
        """Whether a workflow's job has a lifecycle, and a job a secret."""
        return self is Version.NEWEST
