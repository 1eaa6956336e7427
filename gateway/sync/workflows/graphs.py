"""The graphs of workflows, each read once and kept for a while.

One is read with the token of a client that has been shown a job of the workflow. It is shared by
all who have been: nothing of it reaches them, but when the workflow's end is noticed. Who may not
read it gets none, unless another's token has.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from cachetools import TTLCache

from gateway.admission.identity.rejection import is_failed_lookup
from gateway.errors import GatewayError, ResponseTooLarge
from gateway.protocols.theeye.job import is_job_id
from gateway.sync.jobs.refusal import TRY_LATER
from gateway.sync.workflows.graph import Graph, parse_graph
from gateway.upstream.messages.messages import Heard, Purpose, UpstreamResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from gateway.admission.limits.buffers import Buffers
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.reader import Requester

MAX_GRAPHS = 1000
MAX_KEPT_BYTES = 8 * 1024 * 1024
"""Of the graphs that are kept, all in all, as they came."""
_BYTES_BESIDES = 1024
"""Size of a graph that is next to nothing."""
GRAPH_SECONDS = 300.0
RENEWAL_SECONDS = 5.0
"""A graph that does not fit is read again at most so often; so is one that was refused."""
MAX_GRAPH_BYTES = 1024 * 1024
READ_SECONDS = 15.0
"""A read that takes longer counts as failed: others wait for it."""
MAX_TASKS = 10_000
MAX_ASKED = 20
"""Tasks of which one look asks whether a job can follow."""


@dataclass(frozen=True, slots=True)
class _KeptGraph:
    graph: Graph
    read_at: float
    size: int
    """Bytes of the response that had it."""


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class _NamedTask(msgspec.Struct):
    workflow_id: object = None


_decoder = msgspec.json.Decoder(_NamedTask)


class Graphs:
    """``clock`` gives monotonic seconds."""

    def __init__(self, upstream: Requester, buffers: Buffers, clock: Callable[[], float]) -> None:
        self._upstream = upstream
        self._buffers = buffers
        self._clock = clock
        self._kept: TTLCache[tuple[str, str], _KeptGraph] = TTLCache(
            MAX_KEPT_BYTES, GRAPH_SECONDS, clock, lambda kept: _BYTES_BESIDES + kept.size
        )
        self._refused: TTLCache[tuple[bytes, str], None] = TTLCache(
            MAX_GRAPHS, RENEWAL_SECONDS, clock
        )
        self._failing: TTLCache[tuple[bytes, str], None] = TTLCache(
            MAX_GRAPHS, RENEWAL_SECONDS, clock
        )
        """Those of the refused of which the upstream did not say anything."""
        self._doubtful: TTLCache[tuple[str, str], None] = TTLCache(
            MAX_GRAPHS, RENEWAL_SECONDS, clock
        )
        """Workflows whose graph somebody could not read."""
        self._tasks: TTLCache[tuple[str, str, str], bool] = TTLCache(
            MAX_TASKS, RENEWAL_SECONDS, clock
        )
        self._turns: dict[tuple[str | bytes, str], _Turn] = {}

    async def of(self, access: JobAccess) -> Graph | None:
        """The graph of the workflow; None where it cannot be read."""
        return await self._graph(access, float("-inf"))

    async def renewed(self, access: JobAccess) -> Graph | None:
        """The graph as it is now, or was ``RENEWAL_SECONDS`` ago."""
        return await self._graph(access, self._clock() - RENEWAL_SECONDS)

    def is_failing(self, access: JobAccess) -> bool:
        """Tell whether there is no graph because the upstream fails, and not for want of rights."""
        return (access.batch_key, access.workflow_id.lower()) in self._failing

    async def are_dead_ends(self, access: JobAccess, task_ids: Sequence[str]) -> bool:
        """True where each is a dead end; of very many nothing is asked, and one may be none."""
        if len(task_ids) > MAX_ASKED:
            return False
        for task_id in task_ids:
            if not await self.is_dead_end(access, task_id):
                return False
        return True

    async def is_dead_end(self, access: JobAccess, task_id: str) -> bool:
        """True where no job of the task can become one of the workflow: the task is gone, or does
        not name the workflow (then TheEye makes a job that does not name it either). What the
        graph calls a task may be anything; nothing is asked of what is no id."""
        if not is_job_id(task_id):
            return True
        key = (access.customer, access.workflow_id.lower(), task_id)
        async with self._turn((access.customer, f"{key[1]}/{task_id}")):
            known = self._tasks.get(key)
            if known is None:
                path = f"/{quote(access.customer, safe='')}/task/{task_id}"
                reply = await self._read(access, path)
                known = reply is not None and _is_dead_end(reply, access.workflow_id)
                self._tasks[key] = known
            return known

    async def _graph(self, access: JobAccess, since: float) -> Graph | None:
        """The graph, read after ``since`` if the token may. One reads for all; where it could not,
        each other token reads for itself, without waiting for more."""
        workflow = (access.customer, access.workflow_id.lower())
        own = (access.batch_key, workflow[1])
        for turn in (workflow, own):
            if self._is_settled(workflow, own, since):
                break
            async with self._turn(turn):
                is_settled = self._is_settled(workflow, own, since)
                if not is_settled and (turn is own or workflow not in self._doubtful):
                    await self._read_graph(access, workflow, own)
        kept = self._kept.get(workflow)
        return kept.graph if kept is not None else None

    def _is_settled(self, workflow: tuple[str, str], own: tuple[bytes, str], since: float) -> bool:
        """Tell whether there is nothing to be had by a read now."""
        kept = self._kept.get(workflow)
        return (kept is not None and kept.read_at > since) or own in self._refused

    @asynccontextmanager
    async def _turn(self, of: tuple[str | bytes, str]) -> AsyncIterator[None]:
        turn = self._turns.setdefault(of, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[of]

    async def _read_graph(
        self, access: JobAccess, workflow: tuple[str, str], own: tuple[bytes, str]
    ) -> None:
        began = self._clock()
        reply = await self._read(access, f"/workflows/{access.workflow_id}")
        graph = None if reply is None or reply.status != 200 else parse_graph(reply.content)
        if reply is not None and graph is not None:
            self._kept[workflow] = _KeptGraph(graph, began, len(reply.content))
        else:
            self._refused[own] = None
            self._doubtful[workflow] = None
            if reply is None or _is_failing(reply):
                self._failing[own] = None

    async def _read(self, access: JobAccess, path: str) -> UpstreamResponse | None:
        with self._buffers.of(access.client) as held:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    return await self._upstream.request(
                        "GET",
                        access.with_token(path),
                        access.poll_fields,
                        purpose=Purpose.READ,
                        max_bytes=MAX_GRAPH_BYTES,
                        make_room=held.grow,
                        heard=Heard(access.heard.trace),
                    )
            except ResponseTooLarge:
                return UpstreamResponse(413, b"", [], b"")
            except (GatewayError, TimeoutError):
                return None


def _is_failing(reply: UpstreamResponse) -> bool:
    status = reply.status
    return status >= 500 or status in TRY_LATER or is_failed_lookup(reply.content)


def _is_dead_end(reply: UpstreamResponse, workflow_id: str) -> bool:
    if reply.status == 404:
        return True
    if reply.status != 200:
        return False
    try:
        named = _decoder.decode(reply.content).workflow_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return not isinstance(named, str) or named.lower() != workflow_id.lower()
