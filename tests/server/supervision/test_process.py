from __future__ import annotations

import sys
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.downstream.listening.sockets import bound, url_of
from gateway.server.forking.child import adopting_orphans
from gateway.server.supervision.process import Process, beginning
from gateway.server.workers.channel import Order, Question, WorkerSettings
from tests.support.harness import once, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[3]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("adopting", [adopting_orphans, partial(nullcontext, False)])
async def test_workers_run_this_package_not_one_in_the_working_directory(
    adopting: Callable[[], AbstractContextManager[bool]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway/__init__.py").write_text("raise SystemExit(99)")
    monkeypatch.chdir(tmp_path)
    given = WorkerSettings(settings("http://127.0.0.1:9"))
    path = [*filter(None, sys.path), str(ROOT)]
    async with AsyncExitStack() as stack:
        sockets = [stack.enter_context(sock) for sock in await bound("127.0.0.1", 0)]
        begin = await stack.enter_async_context(beginning(path=path, adopting=adopting))
        process = await Process.started(1, given, sockets, lambda _: None, begin)
        try:
            assert await process.ask(Question.LIVE, 15) is not None
            head, _ = await once(url_of(sockets[0].getsockname()), GET)
            assert head.startswith(b"HTTP/1.1 502 ")
            process.order(Order.STOP)
            assert await process.ended() == 0
        finally:
            process.kill()
            await process.ended()
