"""A small upstream and client for the sync mode's tests: what is asked is answered from memory."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gateway.admission.identity.identities import Identity
from gateway.admission.limits.buffers import Buffers
from gateway.downstream.exchange import Exchange
from gateway.errors import BadGateway, ResponseTooLarge
from gateway.protocols.http.query import split
from gateway.sync.created_hold import CreatedHold
from gateway.sync.following.following import Following
from gateway.sync.held_job import JobHold
from gateway.sync.jobs.client_reads import ClientReads
from gateway.sync.jobs.reader import JobReader
from gateway.sync.jobs.result_reader import ResultReader
from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.results import Results
from gateway.sync.looks.lessons import Lessons
from gateway.sync.push.lateness import Lateness
from gateway.sync.results.formatter import Formatter
from gateway.sync.results.parsing import ParsingThread
from gateway.sync.wait_parameters import without_rid
from gateway.sync.watch.watcher import Watcher
from gateway.upstream.messages.messages import Heard, Purpose, UpstreamResponse
from tests.support.client import client
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config import SyncConfig
    from gateway.errors import Field, Response
    from gateway.sync.jobs.reader import Requester

JOB_ID = "6b058e0ff294df5bf4d94f6f"
SERVER = (b"Server", b"restify")
ALLOW_ORIGIN = (b"Access-Control-Allow-Origin", b"https://app.example.test")

LOOKUP_FAILED = (
    b'{"stack":"authentication failed: authentication failed\\n    at Strategy._verify",'
    b'"message":"authentication failed","name":"authentication failed","body":"","statusCode":404}'
)
"""TheEye's response while its session service fails (recording auth_gateway_status)."""


def job(**members: Any) -> bytes:
    """A running job of acme as the upstream writes it, changed by ``members``."""
    body = {"id": JOB_ID, "lifecycle": "assigned", "state": "in_progress", "customer_name": "acme"}
    return json.dumps(body | members, separators=(",", ":")).encode()


def finished(**members: Any) -> bytes:
    return job(**({"lifecycle": "finished", "state": "success", "output": ['{"a":1}']} | members))


def reply(content: bytes, status: int = 200, *fields: Field) -> UpstreamResponse:
    own = (SERVER, ALLOW_ORIGIN, (b"Content-Type", b"application/json"))
    length = (b"Content-Length", b"%d" % len(content))
    return UpstreamResponse(
        status, HTTPStatus(status).phrase.encode(), (*own, *fields, length), content
    )


@dataclass(slots=True)
class Asked:
    at: float
    method: str
    target: str
    fields: list[Field]
    content: bytes
    purpose: Purpose


@dataclass(slots=True)
class TheEye:
    """Answers ``first`` until ``changes_at``, then ``then``. None is a failure."""

    first: UpstreamResponse | None = field(default_factory=lambda: reply(job()))
    changes_at: float = float("inf")
    then: UpstreamResponse | None = field(default_factory=lambda: reply(finished()))
    latency_seconds: float = 0.0
    asked: list[Asked] = field(default_factory=list)

    async def request(
        self,
        method: str,
        target: str,
        fields: Sequence[Field],
        content: bytes = b"",
        *,
        purpose: Purpose,
        max_bytes: int,
        make_room: Callable[[int], None] | None = None,
        heard: Heard | None = None,
    ) -> UpstreamResponse:
        self.asked.append(Asked(now(), method, target, list(fields), content, purpose))
        await asyncio.sleep(self.latency_seconds)
        response = self.first if now() < self.changes_at else self.then
        if heard is not None:
            heard.note(response.status if response else 0, self.latency_seconds)
        if response is None:
            raise BadGateway("not reachable")
        if len(response.content) > max_bytes:
            raise ResponseTooLarge
        if make_room is not None:
            make_room(len(response.content))
        return response


def orchestrator(upstream: Requester, max_bytes: int, buffers: Buffers | None = None) -> JobReader:
    """How jobs are read, with memory for all that is read."""
    return JobReader(upstream, buffers or plenty(), ParsingThread(), max_bytes)


def reader(upstream: Requester, max_bytes: int, buffers: Buffers | None = None) -> ResultReader:
    """How jobs are read for clients."""
    buffers = buffers or plenty()
    reads = ClientReads(upstream, buffers, max_bytes)
    return ResultReader(orchestrator(upstream, max_bytes, buffers), reads)


def created_hold(upstream: Requester, config: SyncConfig, buffers: Buffers) -> CreatedHold:
    """How clients wait in the request that creates a job."""
    watcher = Watcher(orchestrator(upstream, 100_000, buffers), now, lambda: 0.5, config)
    results = Results(reader(upstream, 100_000, buffers).read, MemoryResults(now, config))
    following = Following(watcher, results, Lessons(watcher.learn), now, config)
    return CreatedHold(job_hold(results, watcher, following, config), following, watcher, config)


def job_hold(
    results: Results,
    watcher: Watcher,
    following: Following,
    config: SyncConfig,
    answered: Callable[[Identity, int, Response | None], None] = lambda _who, _status, _said: None,
    *,
    lateness: Lateness | None = None,
) -> JobHold:
    """How a request is held for a job."""
    return JobHold(
        results,
        watcher,
        answered,
        now,
        formatter=Formatter(ParsingThread(), config),
        following=following,
        lessons=Lessons(watcher.learn),
        lateness=lateness or Lateness(now, now),
    )


def plenty() -> Buffers:
    return Buffers(1 << 30, 1 << 30)


def identity_of(customer: str) -> Identity:
    """Who has a token of the organization; of none where that is empty."""
    return Identity(b"k", customer, "", "", b"k", is_verified=False)


def exchange(
    method: str,
    target: str,
    *fields: Field,
    pieces: list[bytes] | None = None,
    customer: str = "acme",
) -> Exchange:
    made = Exchange(client(method, target, fields, content=pieces), "r", "192.0.2.1", 0.0)
    # As the pipeline does it for requests for results.
    made.target, (made.query, made.rid) = target, without_rid(split(target)[1])
    made.identity = identity_of(customer)
    return made


def shown(response: Response) -> dict[str, str]:
    """The response's fields by name, for reading; no name may come twice."""
    names = [name.decode() for name, _ in response.fields]
    assert len(set(names)) == len(names)
    return {name.decode(): value.decode() for name, value in response.fields}
