"""Locks among processes: who has one, who waits, and for how long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.shared.locks import IMPATIENT_SECONDS, WAIT_SECONDS, Locks

if TYPE_CHECKING:
    from collections.abc import Iterator

TAKES = """
import sys, time
from gateway.shared.locks import Locks
locks = Locks(int(sys.argv[1]), time.monotonic)
print(locks.take(7), flush=True)
input()
locks.give_back(7)
print("given back", flush=True)
input()
"""


class Paused:
    """A clock that goes on while somebody pauses."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses = 0

    def clock(self) -> float:
        return self.now

    def pause(self) -> None:
        self.pauses += 1
        self.now += WAIT_SECONDS / 10


@pytest.fixture
def descriptor() -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


@contextmanager
def another(descriptor: int) -> Iterator[subprocess.Popen[str]]:
    """A process that has lock 7, gives it back when it is told to, and ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKES, str(descriptor)],
        pass_fds=[descriptor],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert said(process) == "True"
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_lock_that_another_process_has_is_not_to_be_had_and_others_are(descriptor: int) -> None:
    time_ = Paused()
    locks = Locks(descriptor, time_.clock, time_.pause)
    with another(descriptor) as process:
        assert locks.take(8)
        assert time_.pauses == 0
        assert not locks.take(7)
        assert WAIT_SECONDS <= time_.now - 100 < 2 * WAIT_SECONDS
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert said(process) == "given back"
        assert locks.take(7)


def test_lock_of_a_process_that_was_killed_is_free(descriptor: int) -> None:
    locks = Locks(descriptor, time.monotonic)
    with another(descriptor) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert locks.take(7)


def test_lock_that_is_given_back_soon_is_waited_for(descriptor: int) -> None:
    with another(descriptor) as process:
        time_ = Paused()

        def pause() -> None:
            time_.pause()
            process.kill()
            process.wait()

        assert Locks(descriptor, time_.clock, pause).take(7)
        assert time_.pauses == 1


def test_who_waited_in_vain_waits_for_none_for_a_while(descriptor: int) -> None:
    time_ = Paused()
    locks = Locks(descriptor, time_.clock, time_.pause)
    with another(descriptor):
        assert not locks.take(7)
        pauses = time_.pauses
        assert not locks.take(7)
        assert time_.pauses == pauses
        # Others are.
        assert locks.take(8)
        time_.now += IMPATIENT_SECONDS
        assert not locks.take(7)
        assert time_.pauses > pauses
