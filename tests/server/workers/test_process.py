from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.downstream.listening.sockets import bound
from gateway.server.workers.channel import Order, Question
from gateway.server.workers.process import Process
from tests.support.harness import settings

ROOT = Path(__file__).parents[3]


async def test_workers_run_this_package_not_one_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway/__init__.py").write_text("raise SystemExit(99)")
    monkeypatch.chdir(tmp_path)
    config = settings("http://127.0.0.1:9")
    sockets = await bound("127.0.0.1", 0)
    path = [*filter(None, sys.path), str(ROOT)]
    process = await Process.started(1, config, sockets, lambda _: None, path=path)
    try:
        assert await process.ask(Question.LIVE, 15) is not None
        process.order(Order.STOP)
        assert await process.ended() == 0
    finally:
        process.kill()
        await process.ended()
        for sock in sockets:
            sock.close()
