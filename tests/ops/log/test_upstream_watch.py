from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.durations import ANSWER_SECONDS, Durations
from gateway.ops.log.slowness import Slowness
from gateway.ops.log.upstream_watch import PATIENCE_SECONDS, QUIET_SECONDS, REFUSALS, UpstreamWatch
from gateway.upstream.signs import Signs, Trouble


@dataclass
class Stage:
    """An upstream and who watches it; each look is a second."""

    caplog: pytest.LogCaptureFixture
    now: float = 1000.0
    trouble: Trouble | None = None
    waiting_since: float | None = None
    probes: int = 0
    signs: Signs = field(default_factory=Signs)
    seconds: dict[str, Durations] = field(default_factory=dict)
    watch: UpstreamWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = UpstreamWatch(
            self.signs,
            self.probe,
            lambda: self.waiting_since,
            lambda: self.now,
            Slowness(lambda: self.seconds, 2.0, lambda: self.now),
        )

    async def probe(self) -> None:
        self.probes += 1
        if self.trouble is None:
            self.signs.reached(self.now)
        else:
            self.signs.failed(self.now, self.trouble)

    def told_in(self, seconds: int) -> list[str]:
        """What is said meanwhile."""
        self.caplog.clear()
        for _ in range(seconds):
            self.now += 1
            asyncio.run(self.watch.look())
        return [record.getMessage() for record in self.caplog.records]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble.UNREACHABLE, "the upstream cannot be reached"),
        (Trouble.SILENT, "the upstream takes requests and does not answer"),
        (Trouble.REFUSING, "the upstream answers everything with 5xx"),
    ],
)
def test_each_change_is_told_once(
    trouble: Trouble, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(caplog, trouble=trouble)
    assert stage.told_in(5) == []
    stage.signs.failed(stage.now, trouble)
    assert stage.told_in(60) == [said]
    stage.trouble = None
    assert stage.told_in(60) == ["the upstream answers again, after 61 s"]


def test_failure_of_one_request_is_no_change(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(caplog)
    stage.signs.failed(stage.now, Trouble.SILENT)
    assert stage.told_in(5) == []
    assert stage.probes == 1


def test_upstream_that_hangs_is_told_before_requests_run_out_of_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage(caplog, trouble=Trouble.SILENT)
    stage.signs.answered(stage.now, is_refusal=False)
    stage.waiting_since = stage.now
    assert stage.told_in(int(PATIENCE_SECONDS) - 1) == []
    assert stage.probes == 0
    assert stage.told_in(1) == ["the upstream takes requests and does not answer"]


def test_one_long_request_is_no_hanging_upstream(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(caplog)
    stage.waiting_since = stage.now
    assert stage.told_in(60) == []


def test_refusing_everything_is_told_though_the_upstream_can_be_reached(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage(caplog)
    for _ in range(REFUSALS - 1):
        stage.signs.answered(stage.now, is_refusal=True)
    assert stage.told_in(3) == []
    stage.signs.answered(stage.now, is_refusal=True)
    assert stage.told_in(3) == ["the upstream answers everything with 5xx"]
    stage.signs.answered(stage.now, is_refusal=False)
    assert stage.told_in(1) == ["the upstream answers again, after 7 s"]


def test_upstream_that_comes_and_goes_is_told_of_seldom(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(caplog)
    told = []
    for second in range(100):
        stage.trouble = Trouble.UNREACHABLE if second % 2 else None
        stage.signs.failed(stage.now, Trouble.UNREACHABLE)
        told += stage.told_in(1)
    assert 2 <= len(told) <= 2 * 100 / QUIET_SECONDS


@pytest.mark.virtual_time
async def test_watch_looks_each_second(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(caplog, trouble=Trouble.UNREACHABLE)
    stage.signs.failed(stage.now, Trouble.UNREACHABLE)

    watching = asyncio.get_running_loop().create_task(stage.watch.run())
    await asyncio.sleep(3.5)
    watching.cancel()
    await asyncio.wait([watching])
    assert stage.probes == 3


def test_slow_upstream_is_told_of_beside_its_other_troubles(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage(caplog)
    durations = stage.seconds.setdefault("relay", Durations(ANSWER_SECONDS))
    for _ in range(100):
        durations.add(4.0)
    [line] = stage.told_in(10)
    assert line.startswith("the upstream is slow")
