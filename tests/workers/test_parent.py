"""What operators are told of several workers, and whether there are several at all."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.ops.health import PROBE_SECONDS, Readiness
from gateway.sockets import bound
from gateway.workers.channel import Order, Question
from gateway.workers.parent import ANSWER_SECONDS, Process, WorkersVitals, serve, usable_processors
from gateway.workers.supervisor import Supervisor
from tests.e2e.harness import settings
from tests.test_app import numbers
from tests.virtual_time import now, run

if TYPE_CHECKING:
    from gateway.config import Config

ROOT = Path(__file__).parent.parent
READY = Readiness()
FAR = Readiness("upstream unreachable", 7.0)
PAGE = """\
# TYPE gateway_requests counter
gateway_requests_total {}
# EOF
"""


class Fake:
    """A worker that is as ready as it is told, or silent."""

    def __init__(self, readiness: Readiness | None, requests: int = 0) -> None:
        self.readiness = readiness
        self.requests = requests
        self._ended = asyncio.Event()

    async def ended(self) -> int:
        await self._ended.wait()
        return 0

    async def ask(self, question: Question, seconds: float) -> msgspec.Raw | None:
        if self.readiness is None:
            await asyncio.sleep(seconds)
            return None
        answers: dict[Question, object] = {
            Question.LIVE: "",
            Question.READY: self.readiness,
            Question.METRICS: PAGE.format(self.requests),
        }
        return msgspec.Raw(msgspec.json.encode(answers[question]))

    def order(self, order: Order) -> None:
        assert order is Order.DRAIN

    def kill(self) -> None:
        self._ended.set()


class Kept:
    """Vitals of workers that have started."""

    def __init__(self, *readiness: Readiness | None) -> None:
        self.fakes = [Fake(READY, requests=10 * (n + 1)) for n in range(len(readiness))]
        self._readiness = readiness
        self.vitals = WorkersVitals()
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
def test_workers_are_ready_when_one_of_them_is(
    readiness: list[Readiness | None], found: Readiness
) -> None:
    async def main() -> None:
        async with Kept(*readiness) as kept:
            assert await kept.vitals.readiness() == found
            assert now() == (0 if READY in readiness else PROBE_SECONDS + ANSWER_SECONDS)

    run(main())


def test_no_worker_is_ready_once_they_are_told_to_end() -> None:
    async def main() -> None:
        async with Kept(READY, READY) as kept:
            await kept.vitals.supervisor.end(Order.DRAIN, 0)
            assert await kept.vitals.readiness() == Readiness("draining")
            assert await kept.vitals.liveness() == ""

    run(main())


@pytest.mark.parametrize(
    ("readiness", "found"),
    [
        ([READY, FAR, READY], ""),
        ([READY, None, READY], "no answer of worker 2"),
        ([None, READY, None], "no answer of worker 1, 3"),
    ],
)
def test_workers_live_while_each_of_them_answers(
    readiness: list[Readiness | None], found: str
) -> None:
    async def main() -> None:
        async with Kept(*readiness) as kept:
            assert await kept.vitals.liveness() == found

    run(main())


def test_worker_that_is_being_replaced_is_missed() -> None:
    async def main() -> None:
        async with Kept(READY, READY) as kept:
            kept.fakes[0].kill()
            await asyncio.sleep(0.05)
            assert await kept.vitals.liveness() == "no answer of worker 1"
            assert await kept.vitals.readiness() == READY

    run(main())


def test_metrics_keep_the_counts_of_workers_that_are_silent_or_gone() -> None:
    async def main() -> None:
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

    run(main())


def test_one_for_each_processor_that_may_be_used() -> None:
    assert usable_processors() == len(os.sched_getaffinity(0))


def test_processors_are_all_counted_where_they_cannot_be_kept_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("os.sched_getaffinity")
    assert usable_processors() == os.cpu_count()


def test_single_processor_takes_no_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Config] = []

    def alone(config: Config, _: Path | None) -> int:
        served.append(config)
        return 7

    monkeypatch.setattr("gateway.server.serve", alone)
    monkeypatch.setattr("gateway.workers.parent.usable_processors", lambda: 1)
    config = settings("http://127.0.0.1:9", listen={"workers": 0})
    assert serve(config) == 7
    assert served == [config]


@pytest.mark.parametrize("program", ["/bin/false", "/missing"])
def test_workers_that_cannot_start_end_it_with_status_1(
    program: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.executable", program)
    assert serve(settings("http://127.0.0.1:9", listen={"workers": 2})) == 1
    assert caplog.messages[-1] == "a worker did not start"


async def test_workers_run_this_package_not_one_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway/__init__.py").write_text("raise SystemExit(99)")
    monkeypatch.setattr("sys.path", [path for path in sys.path if path] + [str(ROOT)])
    monkeypatch.chdir(tmp_path)
    config = settings("http://127.0.0.1:9")
    sockets = await bound("127.0.0.1", 0)
    process = await Process.started(1, config, sockets)
    try:
        assert await process.ask(Question.LIVE, 15) is not None
        process.order(Order.STOP)
        assert await process.ended() == 0
    finally:
        process.kill()
        await process.ended()
        for sock in sockets:
            sock.close()
