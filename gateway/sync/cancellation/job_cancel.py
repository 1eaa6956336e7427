"""The one request with which TheEye cancels a job, be it a task's or a workflow's, for a client
with its own token."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from gateway.sync.cancellation.canceller import Way
from gateway.upstream.messages.messages import Purpose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.errors import Field
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.reader import Read, Requester
    from gateway.upstream.messages.messages import UpstreamResponse

MOST_BYTES: Final = 64 * 1024
"""More than TheEye says to any of them."""
_NO_CONTENT: Final[Field] = (b"Content-Length", b"0")


class JobCancels:
    """``read`` reads a job, and keeps it where it has ended for the client that is named by a hash
    (``holder``)."""

    def __init__(
        self,
        upstream: Requester,
        read: Callable[[JobAccess, bytes | None], Awaitable[Read]],
    ) -> None:
        self._upstream = upstream
        self._read = read

    def way(self, access: JobAccess, holder: bytes | None) -> Way:
        """How a client with this access cancels the job."""
        return Way(access.job_id, partial(self._read, access, holder), partial(self._send, access))

    async def _send(self, access: JobAccess) -> UpstreamResponse:
        return await self._upstream.request(
            "PUT",
            cancel_target(access),
            [*access.request_fields, _NO_CONTENT],
            purpose=Purpose.CANCEL,
            max_bytes=MOST_BYTES,
            heard=access.heard,
        )


def cancel_target(access: JobAccess) -> str:
    """The target of the request, upstream."""
    if access.workflow_id:
        return access.with_token(f"/workflows/{access.workflow_id}/job/{access.job_id}/cancel")
    return access.with_token(f"/{quote(access.customer, safe='')}/job/{access.job_id}/cancel")
