from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.admission.identity.identities import Identity
from gateway.ops.glances.callers import Callers
from gateway.ops.glances.failures import Failures
from gateway.ops.glances.glance import FAILURES, WAITS, Glance
from gateway.ops.glances.lookout import SHOWN, Lookout, figures
from gateway.ops.metrics.families import labelled, single
from gateway.ops.metrics.metrics import Metrics
from gateway.sync.watch.state import HeldRequest, LastSeen
from gateway.upstream.signs import Signs, Trouble
from tests.support.records import exchange
from tests.support.theeye import JOB_ID
from tests.support.virtual_time import now
from tests.support.watched import Watched, access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from gateway.sync.watch.watcher import Watcher

pytestmark = pytest.mark.virtual_time

SINCE_1970 = 1_700_000_000.0
HASHED = Identity(b"k" * 16, "claimed", "", "", b"t" * 16, False)
VERIFIED = Identity(b"k" * 16, "<b>acme</b>", "", "", b"t" * 16, True)
NOBODY = Identity(b"a" * 16, "", "", "", None, False)


def some_metrics() -> Iterator[Metric]:
    yield single("gateway_waits_in_flight", 3)
    yield labelled("gateway_upstream_connections", {("busy",): 2, ("idle",): 1})
    yield labelled("gateway_looks_total", {("job",): 7})


class Seen:
    """A lookout with what it looks at."""

    def __init__(self, watcher: Watcher | None = None) -> None:
        self.callers, self.failures, self.signs = Callers(), Failures(), Signs()
        self.lookout = Lookout(
            now,
            lambda: SINCE_1970 + now(),
            metrics=some_metrics,
            watcher=watcher or Watched().watcher(),
            callers=self.callers,
            failures=self.failures,
            signs=self.signs,
        )


async def test_glance_tells_how_long_the_process_runs_and_what_is_wrong_upstream() -> None:
    seen = Seen()
    await asyncio.sleep(5)
    glance = seen.lookout.glance()
    assert (glance.at, glance.seconds, glance.trouble) == (SINCE_1970 + 5, 5, "")
    seen.signs.failed(now(), Trouble.SILENT)
    assert seen.lookout.glance().trouble == "upstream silent"


async def test_figures_are_those_that_the_page_shows() -> None:
    assert Seen().lookout.glance().figures == {
        "gateway_waits_in_flight": {"": 3},
        "gateway_upstream_connections": {"busy": 2, "idle": 1},
    }


async def test_every_figure_is_a_metric_of_the_gateway() -> None:
    found = {sample.name for row in some_metrics() for sample in row.samples}
    assert found & SHOWN
    assert figures([]) == {}


async def test_waits_are_told_with_who_waits_for_what_and_since_when() -> None:
    watcher = Watched().watcher()
    seen = Seen(watcher)
    async with asyncio.TaskGroup() as group:
        await asyncio.sleep(100)
        last_seen = LastSeen(now(), ("<i>acme</i>", "task"))
        request = HeldRequest(HASHED, "its id", 2)
        group.create_task(
            watcher.wait(access(), 20, waited_seconds=30, last_seen=last_seen, request=request)
        )
        await asyncio.sleep(10)
        waits = seen.lookout.waits(10)
        (row,) = waits.rows
    assert waits.count == 1
    assert (row.job_id, row.organization, row.task) == (JOB_ID, "<i>acme</i>", "task")
    assert (row.token_hash, row.request_id, row.hop) == ((b"t" * 16).hex(), "its%20id", 2)
    assert (row.since, row.held_since) == (SINCE_1970 + 70, SINCE_1970 + 100)
    assert row.look == "own"
    assert row.unended_at is not None
    assert SINCE_1970 + 100 < row.unended_at < SINCE_1970 + 110


@pytest.mark.parametrize(
    ("identity", "organization"), [(HASHED, ""), (VERIFIED, "<b>acme</b>"), (NOBODY, "")]
)
async def test_organization_that_a_token_only_claims_is_not_told(
    identity: Identity, organization: str
) -> None:
    watcher = Watched().watcher()
    seen = Seen(watcher)
    failed = exchange(identity=identity, reason="BadGateway")
    failed.finished = now()
    seen.failures.observe(failed)
    seen.callers.observe(failed)
    async with asyncio.TaskGroup() as group:
        request = HeldRequest(identity, "r")
        group.create_task(watcher.wait(access(), 5, request=request))
        await asyncio.sleep(0.01)
        glance = seen.lookout.glance()
    (waiting,), (caller,), (failure,) = glance.waits.rows, glance.callers, glance.failures
    assert waiting.unended_at is None
    assert waiting.organization == caller.organization == failure.organization == organization
    assert caller.token_hash == failure.token_hash == (identity.token_hash or b"").hex()
    assert caller.address == ("" if identity.token_hash else "192.0.2.7")


async def test_who_waits_for_nobody_and_who_is_about_to_be_told_are_waits_too() -> None:
    watcher = Watched().watcher()
    async with asyncio.TaskGroup() as group:
        for number in range(60):
            group.create_task(watcher.wait(access(str(number)), 5))
        await asyncio.sleep(1)
        watcher.hint(JOB_ID)
        await asyncio.sleep(0)
        rows = Seen(watcher).lookout.waits(100).rows
    assert {(row.look, row.unended_at, row.token_hash, row.hop) for row in rows} == {
        ("", None, "", 0)
    }


async def test_tasks_are_told_with_their_run_times() -> None:
    watcher = Watched().watcher()
    for run, seconds in enumerate((1.0, 2.0, 9.0)):
        watcher.learn(("acme", "slow"), str(run), seconds)
    for run in range(5):
        watcher.learn(("acme", "known"), str(run), 3.0)
    known, slow = Seen(watcher).lookout.glance().tasks
    assert (slow.task, slow.runs, slow.last, slow.median, slow.early) == ("slow", 3, 9, 2, None)
    assert (known.organization, known.task, known.runs) == ("acme", "known", 5)
    assert known.early is not None
    assert known.late is not None
    assert known.early < 3 < known.late


@pytest.mark.no_cover
async def test_glance_of_ten_thousand_waits_and_many_failures_is_small() -> None:
    watcher = Watched().watcher()
    seen = Seen(watcher)
    for number in range(30):
        for _ in range(10):
            seen.failures.observe(exchange(reason=f"Reason{number}", target="/x" * 4000))
    async with asyncio.TaskGroup() as group:
        waits = [
            group.create_task(
                watcher.wait(access(str(number)), 9, request=HeldRequest(HASHED, "r"))
            )
            for number in range(10_000)
        ]
        await asyncio.sleep(1)
        glance = seen.lookout.glance()
        for wait in waits:
            wait.cancel()
    assert glance.waits.count == 10_000
    assert (len(glance.waits.rows), len(glance.failures)) == (WAITS, FAILURES)
    encoded = msgspec.json.encode(glance)
    assert len(encoded) < 100_000
    assert msgspec.json.decode(encoded, type=Glance) == glance


def test_metrics_of_the_gateway_can_be_read_without_a_page() -> None:
    metrics = Metrics("1", some_metrics)
    metrics.observe(exchange())
    found = figures(metrics.families())
    assert found["gateway_requests_total"] == {"refused GET none": 1}
    assert found["gateway_waits_in_flight"] == {"": 3}
