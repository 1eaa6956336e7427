from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from gateway.config import LogConfig
from gateway.server.runtime import (
    KEPT_BYTES,
    MAPPED_BYTES,
    SWITCH_SECONDS,
    fill_standard_streams,
    log_to_stderr,
    share_the_interpreter,
    spare_the_allocator,
    uncaught,
    uncaught_in_thread,
    unraisable,
)

WITHOUT_STREAMS = """\
import os, socket, subprocess, sys
from gateway.server.runtime import fill_standard_streams
fill_standard_streams()
assert socket.socket().fileno() > 2
print("out")
print("error", file=sys.stderr, flush=True)
assert sys.stdin.read() == ""
sys.exit(subprocess.call(["sh", "-c", "echo out && echo error >&2"]))
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_stream_that_is_closed_at_the_start_takes_what_is_written_to_it(closed: str) -> None:
    command = ("sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", WITHOUT_STREAMS)
    assert subprocess.run(command, input=b"", check=False, timeout=30).returncode == 0


def test_open_streams_stay_what_they_are() -> None:
    before = sys.stdin, sys.stdout, sys.stderr
    fill_standard_streams()
    assert (sys.stdin, sys.stdout, sys.stderr) == before


def test_a_libc_that_cannot_be_told_how_to_allocate_is_left_alone() -> None:
    told: list[tuple[int, int]] = []
    libc = SimpleNamespace(mallopt=lambda what, value: told.append((what, value)))
    spare_the_allocator(lambda _: libc)
    assert told == [(-1, KEPT_BYTES), (-3, MAPPED_BYTES)]
    spare_the_allocator(lambda _: SimpleNamespace())
    assert len(told) == 2


def test_a_thread_that_computes_gives_the_interpreter_away_soon() -> None:
    before = sys.getswitchinterval()
    try:
        share_the_interpreter()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    finally:
        sys.setswitchinterval(before)


UNRULY = """
import threading, warnings
from gateway.config import LogConfig
from gateway.server.runtime import log_to_stderr
log_to_stderr(LogConfig(format="json"), 2)
warnings.warn("soon gone", FutureWarning)
class Leaving:
    def __del__(self):
        raise ValueError("of a finalizer")
Leaving()
def run():
    raise ValueError("of a thread")
thread = threading.Thread(target=run, name="parser")
thread.start()
thread.join()
raise ValueError("at last")
"""


def test_all_that_python_says_is_json_too() -> None:
    ran = subprocess.run([sys.executable, "-c", UNRULY], capture_output=True, check=False)
    assert ran.returncode == 1
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert {line["worker"] for line in lines} == {2}
    warned, *failures = lines
    assert (warned["level"], warned["logger"]) == ("warning", "py.warnings")
    assert "FutureWarning: soon gone" in warned["message"]
    told = [(line["level"], line["exception"].rpartition(": ")[2]) for line in failures]
    assert told == [
        ("error", "of a finalizer"),
        ("critical", "of a thread"),
        ("critical", "at last"),
    ]


def test_log_that_is_set_up_stays_as_it_is() -> None:
    hook, handlers = sys.excepthook, [*logging.getLogger().handlers]
    log_to_stderr(LogConfig())
    assert sys.excepthook is hook
    assert logging.getLogger().handlers == handlers


def test_what_nobody_catches_is_told_with_where_it_came_from(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failure = ValueError("x")
    uncaught(ValueError, failure, None)
    thread = threading.Thread(name="parser")
    uncaught_in_thread(threading.ExceptHookArgs((ValueError, failure, None, thread)))
    uncaught_in_thread(threading.ExceptHookArgs((ValueError, failure, None, None)))
    uncaught_in_thread(threading.ExceptHookArgs((ValueError, None, None, thread)))
    told = {"exc_type": ValueError, "exc_traceback": None, "err_msg": None, "object": 7}
    unraisable(SimpleNamespace(**told, exc_value=failure))
    unraisable(SimpleNamespace(**told, exc_value=None))
    assert [record.getMessage() for record in caplog.records] == [
        "uncaught exception",
        "uncaught exception in parser",
        "uncaught exception in a thread",
        "exception ignored in 7",
    ]
    assert all(record.exc_info is not None for record in caplog.records)
