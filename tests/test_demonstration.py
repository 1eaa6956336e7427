from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gateway import demonstration
from gateway.demo.orchestrator import Orchestrator
from gateway.demonstration import CALLS, USER, Call, demo
from tests.e2e.harness import pasted

if TYPE_CHECKING:
    from collections.abc import Callable


def test_check_makes_the_documented_calls_and_shows_no_token(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert demo(None, check=True) == 0
    told = capsys.readouterr().out
    assert f"{len(CALLS)} of {len(CALLS)} calls were answered as documented" in told
    assert all(call.title in told for call in CALLS)
    assert Orchestrator().tokens[USER] not in told


def is_hello(content: bytes) -> bool:
    return content == b'{"message":"Hello world!"}'


@pytest.mark.parametrize(
    ("options", "statuses", "is_right"),
    [
        ("wait_result=true&parse", (303, 303, 200), is_hello),
        ("wait_result=true&parse", (303, 500), is_hello),
        ("wait_result=true&output", (303, 200), is_hello),
        ("", (303, 200), is_hello),
        ("wait_result=true&counter=9&parse", (200,), is_hello),
    ],
)
def test_check_fails_where_an_answer_is_not_as_documented(
    options: str,
    statuses: tuple[int, ...],
    is_right: Callable[[bytes], bool],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = Call("Right", "instant", "wait_result=true&parse", (303, 200), is_hello)
    bad = Call("Wrong", "instant", options, statuses, is_right)
    monkeypatch.setattr(demonstration, "CALLS", (good, bad))
    assert demo(None, check=True) == 1
    told = capsys.readouterr().out
    assert "1 of 2 calls were answered as documented" in told
    assert "NOT as documented: Wrong\n" in told
    assert "NOT as documented: Right\n" not in told


def test_taken_port_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert demo(("127.0.0.1", taken.getsockname()[1]), check=True) == 1
    told = capsys.readouterr().err
    assert told.startswith("cannot listen: ")
    assert "choose another address with --listen" in told


NAMES = ("token", "task")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_printed_calls_work_when_pasted_until_ctrl_c_ends_it(number: int) -> None:
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "demo", "--listen", "127.0.0.1:0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(20):
            told = (await running.stdout.readuntil(b"Ctrl-C ends it.\n")).decode()
        commands = re.findall(r"^curl .*$", told, re.MULTILINE)
        assert len(commands) == len(CALLS)
        token, task = (re.findall(rf"^({name}=.*)$", told, re.MULTILINE) for name in NAMES)
        assert told.count(token[0].removeprefix("token=")) == 1
        documented = [command for command in commands if "limit=6&timeout=10" in command]
        created, result = await pasted("\n".join([*token, *task, *documented]))
        assert (created.status, result.status) == (303, 200)
        assert is_hello(result.content)
        running.send_signal(number)
        async with asyncio.timeout(20):
            rest, complaints = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0
    assert rest.decode() == "\nEnded.\n"
    assert complaints == b""
