"""The graphs of workflows, each read once and kept for a while.

One is read with the token of a client that has been shown a job of the workflow. It is shared by
all who have been: nothing of it reaches them, but when the workflow's end is noticed. Who may not
read it gets none, unless another's token has.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from cachetools import TTLCache

from gateway.errors import GatewayError
from gateway.sync.workflows.graph import Graph, parse_graph
from gateway.upstream.messages.messages import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.limits.buffers import Buffers
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.reader import Requester
    from gateway.upstream.messages.messages import UpstreamResponse

MAX_GRAPHS = 1000
GRAPH_SECONDS = 300.0
RENEWAL_SECONDS = 5.0
"""A graph that does not fit is read again at most so often; so is one that was refused."""
MAX_GRAPH_BYTES = 1024 * 1024
MAX_TASKS = 10_000


@dataclass(frozen=True, slots=True)
class _KeptGraph:
    graph: Graph
    read_at: float


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
            MAX_GRAPHS, GRAPH_SECONDS, clock
        )
        self._refused: TTLCache[tuple[bytes, str], None] = TTLCache(
            MAX_GRAPHS, RENEWAL_SECONDS, clock
        )
        self._tasks: TTLCache[tuple[str, str, str], bool] = TTLCache(
            MAX_TASKS, RENEWAL_SECONDS, clock
        )
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def of(self, access: JobAccess) -> Graph | None:
        """The graph of the workflow; None where it cannot be read."""
        return await self._graph(access, float("-inf"))

    async def renewed(self, access: JobAccess) -> Graph | None:
        """The graph as it is now, or was ``RENEWAL_SECONDS`` ago."""
        return await self._graph(access, self._clock() - RENEWAL_SECONDS)

    async def is_dead_end(self, access: JobAccess, task_id: str) -> bool:
        """True where no job of the task can become one of the workflow: the task is gone, or does
        not name the workflow (then TheEye makes a job that does not name it either)."""
        key = (access.customer, access.workflow_id.lower(), task_id)
        known = self._tasks.get(key)
        if known is None:
            reply = await self._read(access, f"/{quote(access.customer, safe='')}/task/{task_id}")
            known = reply is not None and _is_dead_end(reply, access.workflow_id)
            self._tasks[key] = known
        return known

    async def _graph(self, access: JobAccess, since: float) -> Graph | None:
        key = (access.customer, access.workflow_id.lower())
        kept = self._kept.get(key)
        if kept is not None and kept.read_at > since:
            return kept.graph
        if (access.batch_key, key[1]) in self._refused:
            return kept.graph if kept is not None else None
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                return await self._read_graph(access, key, since)
        finally:
            if not lock.locked():
                self._locks.pop(key, None)

    async def _read_graph(
        self, access: JobAccess, key: tuple[str, str], since: float
    ) -> Graph | None:
        kept = self._kept.get(key)
        if kept is not None and kept.read_at > since:
            return kept.graph  # somebody has read it meanwhile
        began = self._clock()
        reply = await self._read(access, f"/workflows/{access.workflow_id}")
        graph = None if reply is None or reply.status != 200 else parse_graph(reply.content)
        if graph is not None:
            self._kept[key] = _KeptGraph(graph, began)
            return graph
        self._refused[access.batch_key, key[1]] = None
        return kept.graph if kept is not None else None

    async def _read(self, access: JobAccess, path: str) -> UpstreamResponse | None:
        with self._buffers.of(access.client) as held:
            try:
                return await self._upstream.request(
                    "GET",
                    access.with_token(path),
                    access.poll_fields,
                    purpose=Purpose.READ,
                    max_bytes=MAX_GRAPH_BYTES,
                    make_room=held.grow,
                )
            except GatewayError:
                return None


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
