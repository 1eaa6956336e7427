"""Whether there are several workers at all, and how they start."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.downstream.listening.sockets import bound
from gateway.server.channel import Order, Question
from gateway.server.parent import Process, serve, usable_processors
from tests.support.harness import settings

if TYPE_CHECKING:
    from gateway.config import Config

ROOT = Path(__file__).parent.parent


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

    monkeypatch.setattr("gateway.server.server.serve", alone)
    monkeypatch.setattr("gateway.server.parent.usable_processors", lambda: 1)
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
    assert [text for text in caplog.messages if "do not share idempotency keys" in text]


async def test_workers_run_this_package_not_one_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway/__init__.py").write_text("raise SystemExit(99)")
    monkeypatch.setattr("sys.path", [path for path in sys.path if path] + [str(ROOT)])
    monkeypatch.chdir(tmp_path)
    config = settings("http://127.0.0.1:9")
    sockets = await bound("127.0.0.1", 0)
    process = await Process.started(1, config, sockets, lambda _: None)
    try:
        assert await process.ask(Question.LIVE, 15) is not None
        process.order(Order.STOP)
        assert await process.ended() == 0
    finally:
        process.kill()
        await process.ended()
        for sock in sockets:
            sock.close()
