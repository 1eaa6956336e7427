from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.demo.orchestrator import JOBS_AT_ONCE, Orchestrator
from gateway.demo.showcase import CALLS, USER, ExampleCall, demo
from tests.support.harness import pasted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.harness import Shown

ROOT = Path(__file__).parents[2]


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
) -> None:
    good = ExampleCall("Right", "instant", "wait_result=true&parse", (303, 200), is_hello)
    bad = ExampleCall("Wrong", "instant", options, statuses, is_right)
    assert demo(None, check=True, calls=(good, bad)) == 1
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


def readme_example() -> str:
    """The one that needs a token and a task."""
    text = (ROOT / "README.md").read_text("utf-8")
    (found,) = re.findall(r"^```sh\n(curl [^`]*\$token[^`]*)```$", text, re.MULTILINE)
    assert isinstance(found, str)
    return found


@asynccontextmanager
async def demonstrating() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """``make demo`` on a free port, and what it has printed."""
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
        yield running, told
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def test_all_that_is_printed_works_when_pasted_and_so_does_the_readme() -> None:
    async with demonstrating() as (_, told):
        assert f" {JOBS_AT_ONCE} jobs at once" in told
        assert told.count(Orchestrator().tokens[USER]) == 1
        variables = re.findall(r"^[a-z]+=.*$", told, re.MULTILINE)
        commands = re.findall(r"^curl .*$", told, re.MULTILINE)
        (url,) = re.findall(r"^The gateway in front of it: +(\S+)$", told, re.MULTILINE)
        example = readme_example().replace("http://localhost:6090", url)
        assert url in example
        # TheEye keeps the five newest jobs of a task.
        few = asyncio.Semaphore(4)

        async def answers_to(command: str) -> list[Shown]:
            async with few:
                return await pasted("\n".join([*variables, command]))

        called = await asyncio.gather(*map(answers_to, [*commands, example]))
    assert len(commands) == len(CALLS)
    for call, answers in zip(CALLS, called, strict=False):
        statuses = [response.status for response in answers]
        assert (statuses[0], statuses[-1]) == (call.statuses[0], call.statuses[-1]), call.title
        assert call.is_right(answers[-1].content), call.title
    assert is_hello(called[-1][-1].content)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_ends_it(number: int) -> None:
    async with demonstrating() as (running, _):
        running.send_signal(number)
        async with asyncio.timeout(20):
            rest, complaints = await running.communicate()
    assert running.returncode == 0
    assert rest.decode() == "\nEnded.\n"
    assert complaints == b""
