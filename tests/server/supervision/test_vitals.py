"""What operators are told of several workers, without processes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.ops.operators.health import PROBE_SECONDS, Readiness
from gateway.server.supervision.supervisor import Supervisor
from gateway.server.supervision.vitals import ANSWER_SECONDS, WorkersVitals
from gateway.server.workers.channel import Order, Question, WorkerReply
from tests.support.virtual_time import now
from tests.test_app import numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.server.workers.channel import WorkerSettings

pytestmark = pytest.mark.virtual_time

READY = Readiness()
FAR = Readiness("upstream unreachable", 7.0)
PAGE = """\
# TYPE gateway_requests counter
gateway_requests_total {}
# EOF
"""


class Fake:
    """A worker that is as ready as it is told, or silent, which tells all its replies."""

    def __init__(
        self, told: Callable[[WorkerReply], None], readiness: Readiness | None, requests: int = 0
    ) -> None:
        self._told = told
        self.readiness = readiness
        self.requests = requests
        self._ended = asyncio.Event()

    async def ended(self) -> int:
        await self._ended.wait()
        return 0

    async def ask(
        self, question: Question, seconds: float, settings: WorkerSettings | None = None
    ) -> msgspec.Raw | None:
        assert settings is None
        if self.readiness is None:
            await asyncio.sleep(seconds)
            return None
        answers: dict[Question, object] = {
            Question.LIVE: "",
            Question.READY: self.readiness,
            Question.METRICS: PAGE.format(self.requests),
        }
        reply = WorkerReply(question, msgspec.Raw(msgspec.json.encode(answers[question])))
        self._told(reply)
        return reply.content

    def order(self, order: Order, settings: WorkerSettings | None = None) -> None:
        assert settings is None
        assert order is Order.DRAIN

    def kill(self) -> None:
        self._ended.set()


class Kept:
    """Vitals of workers that have started."""

    def __init__(self, *readiness: Readiness | None) -> None:
        self.vitals = WorkersVitals()
        self.fakes = [
            Fake(partial(self.vitals.told, number), READY, requests=10 * number)
            for number in range(1, len(readiness) + 1)
        ]
        self._readiness = readiness
        self.vitals.supervisor = Supervisor(
            len(readiness), self._start, self.vitals.totals.retire, now
        )

    async def _start(self, number: int) -> Fake:
        return self.fakes[number - 1]

    async def __aenter__(self) -> Kept:
        await self.vitals.supervisor.__aenter__()
        await self.vitals.supervisor.until_started()
        for fake, readiness in zip(self.fakes, self._readiness, strict=True):
            fake.readiness = readiness
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.vitals.supervisor.__aexit__(*failure)


@pytest.mark.parametrize(
    ("readiness", "found"),
    [
        ([READY, READY], READY),
        ([FAR, READY], READY),
        ([None, READY], READY),
        ([FAR, None], FAR),
        ([None, None], Readiness("no worker answers")),
    ],
)
async def test_workers_are_ready_when_one_of_them_is(
    readiness: list[Readiness | None], found: Readiness
) -> None:
    async with Kept(*readiness) as kept:
        assert await kept.vitals.readiness() == found
        assert now() == (0 if READY in readiness else PROBE_SECONDS + ANSWER_SECONDS)


async def test_no_worker_is_ready_once_they_are_told_to_end() -> None:
    async with Kept(READY, READY) as kept:
        await kept.vitals.supervisor.end(Order.DRAIN, 0)
        assert await kept.vitals.readiness() == Readiness("draining")
        assert await kept.vitals.liveness() == ""


@pytest.mark.parametrize(
    ("readiness", "found"),
    [
        ([READY, FAR, READY], ""),
        ([READY, None, READY], "no answer of worker 2"),
        ([None, READY, None], "no answer of worker 1, 3"),
    ],
)
async def test_workers_live_while_each_of_them_answers(
    readiness: list[Readiness | None], found: str
) -> None:
    async with Kept(*readiness) as kept:
        assert await kept.vitals.liveness() == found


async def test_worker_that_is_being_replaced_is_missed() -> None:
    async with Kept(READY, READY) as kept:
        kept.fakes[0].kill()
        await asyncio.sleep(0.05)
        assert await kept.vitals.liveness() == "no answer of worker 1"
        assert await kept.vitals.readiness() == READY


async def test_metrics_keep_the_counts_of_workers_that_are_silent_or_gone() -> None:
    async with Kept(READY, READY) as kept:
        told = numbers((await kept.vitals.metrics(""))[0].decode())
        assert told["gateway_requests_total"] == 30
        assert told["gateway_workers"] == 2
        kept.fakes[1].kill()
        await asyncio.sleep(0.05)
        told = numbers((await kept.vitals.metrics(""))[0].decode())
        assert told["gateway_requests_total"] == 30
        kept.fakes[0].readiness = None
        told = numbers((await kept.vitals.metrics(""))[0].decode())
        assert told["gateway_requests_total"] == 30
        assert told["gateway_workers_replaced_total"] >= 1


async def test_metrics_have_what_a_worker_told_unasked_at_its_end() -> None:
    async with Kept(READY, READY) as kept:
        await kept.vitals.metrics("")
        page = PAGE.format(25)
        kept.vitals.told(2, WorkerReply(Question.METRICS, msgspec.Raw(msgspec.json.encode(page))))
        kept.fakes[1].kill()
        await asyncio.sleep(0.05)
        told = numbers((await kept.vitals.metrics(""))[0].decode())
        assert told["gateway_requests_total"] == 35
