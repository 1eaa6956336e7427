"""Reads a workflow that is waited for, as if it were one job.

    first           GET /workflows/:workflow/job/:job with the client's token: may it see the job?
    at each step    two lists, shared with whoever has the same token, and the graph (once)
    at the end      the workflow's own job and all its task jobs, in full

What a job's read is for the waiting client, is this for a workflow's: it is ``Found`` with the
result of the workflow's last job once it has ended, before with what it waits for (``Pending``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from cachetools import TTLCache

from gateway.errors import ResponseTooLarge
from gateway.protocols.theeye.cors import cross_origin_fields
from gateway.protocols.theeye.ecma_json import has_surrogates
from gateway.protocols.theeye.job import Job, parse_job
from gateway.protocols.theeye.workflow_job import joined, of_workflow, workflow_job
from gateway.sync.jobs.listing import Unlisted
from gateway.sync.jobs.reader import AT_ONCE_BYTES, Failing, Found, Pending, understood
from gateway.sync.workflows.shared_lists import WorkflowLook, time_of
from gateway.sync.workflows.silences import Silences
from gateway.sync.workflows.standing import Stage, Standing, standing
from gateway.sync.workflows.task_jobs import ListedJob, parse_full_jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.admission.limits.buffers import Buffers
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.client_reads import ClientReads
    from gateway.sync.jobs.reader import Read
    from gateway.sync.results.parsing import ParsingThread
    from gateway.sync.workflows.graphs import Graphs
    from gateway.sync.workflows.shared_lists import SharedLists

T = TypeVar("T")

MAX_SHOWN = 20_000
SHOWN_SECONDS = 60.0
"""Time for which a client that was shown a workflow's job may be told of it from lists."""


class WorkflowReader:
    """``of_job`` reads a task's job, its output only where nothing else is wanted. ``thread``
    parses what would keep the event loop for long, ``buffers`` have room for what is joined.
    ``clock`` gives monotonic seconds, ``wall_clock`` those since 1970. ``quiet_seconds``: how
    long nothing happens before a workflow whose graph cannot be read is taken to have ended."""

    def __init__(
        self,
        reads: ClientReads,
        buffers: Buffers,
        lists: SharedLists,
        graphs: Graphs,
        of_job: Callable[[JobAccess, bool], Awaitable[Read]],
        *,
        thread: ParsingThread,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        quiet_seconds: float,
    ) -> None:
        self._reads = reads
        self._buffers = buffers
        self._lists = lists
        self._graphs = graphs
        self._of_job = of_job
        self._thread = thread
        self._silences = Silences(clock)
        self._wall_clock = wall_clock
        self._quiet_seconds = quiet_seconds
        self._shown: TTLCache[tuple[bytes, str, str], None] = TTLCache(
            MAX_SHOWN, SHOWN_SECONDS, clock
        )

    def reconfigure(self, quiet_seconds: float) -> None:
        self._quiet_seconds = quiet_seconds

    async def read(self, access: JobAccess, output_only: bool) -> Read:
        """The workflow as it stands.

        Raises:
            ResponseTooLarge: what is wanted of an ended one is larger than may be held.
            MemoryFull: there is no room for it now.
            Overloaded: too much is waiting to be parsed.
        """
        shown = access.batch_key, access.workflow_id.lower(), access.job_id.lower()
        own: Found | None = None
        if shown not in self._shown:
            read = await self._own(access)
            if not isinstance(read, Found):
                return read
            own = read
            self._shown[shown] = None
        return await self._looked_at(access, own, output_only)

    async def aclose(self) -> None:
        await self._lists.aclose()

    async def _looked_at(self, access: JobAccess, own: Found | None, output_only: bool) -> Read:
        """The workflow as lists show it, or its own routes; ``own``: its own job, if that was read
        right now."""
        look = await self._lists.look(access)
        if look is Unlisted.FAILING:
            # The next look is shared again: it is no time for requests of each client's own.
            if own is None or own.job.is_finished:
                return Failing()
            return replace(own, pending=Pending())
        if isinstance(look, Unlisted) or look.own is None:
            # The token gets no such lists: this workflow's own routes tell more.
            return await self._in_full(access, output_only)
        at, is_presumed = await self._decided(access, look)
        if at.stage is Stage.ENDED or is_presumed:
            return await self._in_full(access, output_only)
        if own is not None:
            return replace(own, pending=_pending(at))
        return Found(_shortened(look.own), cross_origin_fields(access.origin), _pending(at))

    async def _decided(self, access: JobAccess, look: WorkflowLook) -> tuple[Standing, bool]:
        """Where the workflow stands, and whether it is presumed to have ended."""
        lifecycle = look.own.lifecycle if look.own is not None else None
        silent = self._silences.seconds(access, look)
        at = standing(lifecycle, look.jobs, await self._graphs.of(access))
        if not at.is_explained:
            at = standing(lifecycle, look.jobs, await self._graphs.renewed(access))
        if at.stage not in {Stage.BETWEEN, Stage.SILENT}:
            return at, False
        if silent is None or silent < self._quiet_seconds:
            return at, False
        if at.stage is Stage.SILENT:
            return at, not self._graphs.is_failing(access)
        at = standing(lifecycle, look.jobs, await self._graphs.renewed(access))
        if at.stage is not Stage.BETWEEN:
            return at, False
        return at, await self._graphs.are_dead_ends(access, at.missing)

    async def _in_full(self, access: JobAccess, output_only: bool) -> Read:
        """The workflow from its own routes, with its result if it has ended."""
        # In this order: where its own job says that it has ended, all of its task jobs have.
        own = await self._own(access)
        if not isinstance(own, Found):
            return own
        try:
            reply = await self._reads.get(access, access.with_token(f"{_path(access)}/jobs"))
        except ResponseTooLarge as failure:
            return await self._in_parts(access, output_only, own, failure)
        if reply is None or reply.status != 200:
            return Failing() if reply is None else understood(reply, access)
        jobs = await self._parsed(access, reply.content, parse_full_jobs, reply.content)
        if jobs is None:
            return Failing()
        look = WorkflowLook(_listed(own.job), jobs, time_of(reply.fields, self._wall_clock))
        at, is_presumed = await self._decided(access, look)
        if at.stage is not Stage.ENDED and not is_presumed:
            return Found(own.job, own.fields, _pending(at))
        job = await self._joined(access, own.job, reply.content, at, is_presumed=is_presumed)
        return Failing() if job is None else Found(job, own.fields)

    async def _joined(
        self, access: JobAccess, own: Job, jobs: bytes, at: Standing, *, is_presumed: bool
    ) -> Job | None:
        """The ended workflow as one job; None where that cannot be made."""
        with self._buffers.of(access.client) as held:
            held.grow(len(own.raw) + len(jobs))
            whole = joined(own.raw, jobs)
            if whole is None:
                return None
            last = at.last.id if at.last is not None else ""
            return await self._parsed(access, whole, workflow_job, whole, last, is_presumed)

    async def _in_parts(
        self, access: JobAccess, output_only: bool, own: Found, too_large: ResponseTooLarge
    ) -> Read:
        """The workflow with its last job's output, where all of its jobs are too much."""
        look = await self._lists.look(access)
        if isinstance(look, Unlisted):
            return Failing()
        at, is_presumed = await self._decided(access, look)
        if at.stage is not Stage.ENDED and not is_presumed:
            return Found(own.job, own.fields, _pending(at))
        if at.last is None or not output_only:
            raise too_large
        part = await self._of_job(access.of_job(at.last.id), True)
        if not isinstance(part, Found):
            return part
        return Found(of_workflow(part.job, own.job.id, is_presumed=is_presumed), own.fields)

    async def _own(self, access: JobAccess) -> Read:
        """The workflow's own job; refused, in the upstream's words, where there is none."""
        reply = await self._reads.get(access, access.with_token(_path(access)))
        return Failing() if reply is None else understood(reply, access)

    async def _parsed(
        self, access: JobAccess, content: bytes, function: Callable[..., T], *arguments: Any
    ) -> T:
        """What the function makes of the content; in the thread where that may take seconds."""
        if len(content) < AT_ONCE_BYTES or not has_surrogates(content):
            return function(*arguments)
        return await self._thread.run(access.client, function, *arguments)


def by_kind(
    of_job: Callable[[JobAccess, bool], Awaitable[Read]],
    of_workflow: Callable[[JobAccess, bool], Awaitable[Read]],
) -> Callable[[JobAccess, bool], Awaitable[Read]]:
    """Make one read of two, of which each access takes its own."""

    def read(access: JobAccess, output_only: bool) -> Awaitable[Read]:
        return (of_workflow if access.workflow_id else of_job)(access, output_only)

    return read


def _path(access: JobAccess) -> str:
    return f"/workflows/{access.workflow_id}/job/{access.job_id}"


def _pending(at: Standing) -> Pending:
    if at.running is None:
        return Pending()
    return Pending(at.running.id, at.running.task_id or "")


def _listed(job: Job) -> ListedJob:
    """What is needed of a workflow's own job to see where it stands."""
    return ListedJob(job.id, job.lifecycle or None, job.state)


def _shortened(own: ListedJob) -> Job:
    """A workflow's own job of which no more is known than a list tells."""
    content = msgspec.json.encode({"id": own.id, "lifecycle": own.lifecycle, "state": own.state})
    job = parse_job(content)
    assert job is not None, "its id is one that was asked for"
    return job
