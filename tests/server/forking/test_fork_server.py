"""Children of a real fork server, ``tests/support/forking.py``."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
from ast import literal_eval
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.server.forking.child import Child, adopting_orphans
from gateway.server.forking.fork_server import ForkServer
from gateway.server.forking.program import started
from tests.support.forking import Said
from tests.support.processes import children_of, standing_still, state
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def adopting() -> Iterator[None]:
    """This process adopts orphans while a test runs."""
    with adopting_orphans() as can_adopt:
        if not can_adopt:
            pytest.skip("this system lets nobody adopt orphans")
        yield


@asynccontextmanager
async def serving(*seconds: float) -> AsyncIterator[tuple[ForkServer, list[int]]]:
    """A fork server, and the process ids that it has had."""
    pids: list[int] = []

    async def start(descriptors: Sequence[int]) -> asyncio.subprocess.Process:
        process = await started("tests.support.forking", descriptors, path=[str(ROOT)])
        pids.append(process.pid)
        return process

    forks = ForkServer(start, *seconds)
    try:
        yield forks, pids
    finally:
        await forks.aclose()


class Forked:
    """A child, at the other end of a socket."""

    def __init__(self, child: Child, numbers: Sequence[int], channel: socket.socket) -> None:
        self.child = child
        self.numbers = numbers
        self._channel = channel

    async def said(self) -> Said:
        loop = asyncio.get_running_loop()
        return Said(*literal_eval((await loop.sock_recv(self._channel, 200)).decode()))

    async def ended(self, status: int = 0) -> int:
        """As it is told to."""
        await asyncio.get_running_loop().sock_sendall(self._channel, str(status).encode())
        return await self.child.wait()


@asynccontextmanager
async def forked(forks: ForkServer, *others: int) -> AsyncIterator[Forked]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        with theirs:
            child, numbers = await forks.fork([theirs.fileno(), *others])
        try:
            yield Forked(child, numbers, ours)
        finally:
            child.kill()
            await child.wait()


async def test_child_is_one_of_this_process_in_a_group_of_its_own_and_tells_how_it_ended() -> None:
    with socket.socket() as other:
        async with serving() as (forks, _), forked(forks, other.fileno()) as first:
            assert first.child.pid in children_of(os.getpid())
            assert os.getpgid(first.child.pid) == first.child.pid
            said = await first.said()
            assert (said.pid, said.descriptors) == (first.child.pid, 2)
            assert len(first.numbers) == 2
            async with forked(forks) as second:
                assert await second.ended(7) == 7
            assert await first.ended(3) == 3


async def test_no_child_has_the_random_numbers_of_another() -> None:
    async with serving() as (forks, _), forked(forks) as first, forked(forks) as second:
        one, other = await first.said(), await second.said()
    assert one.random != other.random
    assert one.by_openssl != other.by_openssl


async def test_child_is_killed_once_and_never_after_its_end() -> None:
    async with serving() as (forks, _), forked(forks) as running:
        await running.said()
        running.child.kill()
        assert await running.child.wait() == -signal.SIGKILL
        running.child.kill()
        assert await running.child.wait() == -signal.SIGKILL


async def test_signals_for_all_end_the_children_not_the_fork_server() -> None:
    async with serving() as (forks, pids), forked(forks) as running:
        await running.said()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            os.kill(pids[0], number)
        os.kill(running.child.pid, signal.SIGTERM)
        assert await running.child.wait() == -signal.SIGTERM
        async with forked(forks) as another:
            await another.said()


async def test_children_outlive_the_fork_server_and_another_one_begins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as (forks, pids), forked(forks) as older:
        await older.said()
        os.kill(pids[0], signal.SIGKILL)
        await until(lambda: state(pids[0]) == "")
        async with forked(forks) as younger:
            assert (await younger.said()).pid == younger.child.pid
            assert await younger.ended(1) == 1
        assert caplog.messages == ["another process begins that workers are forked from"]
        assert await older.ended(2) == 2


async def test_end_of_the_fork_server_during_a_request_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as (forks, pids):
        async with forked(forks) as running:
            await running.said()

        async def is_told() -> None:
            with pytest.raises(ConnectionError, match="forked from has ended"):
                await forks.fork([0])

        async with standing_still(pids), asyncio.TaskGroup() as group:
            group.create_task(is_told())
            # It has sent what it has to.
            await asyncio.sleep(0)
            os.kill(pids[0], signal.SIGKILL)
        assert not caplog.messages
        async with forked(forks) as another:
            await another.said()
        assert len(caplog.messages) == 1


async def test_fork_server_that_stands_still_is_given_up() -> None:
    async with serving(30.0, 0.02) as (forks, pids):
        async with forked(forks) as running:
            await running.said()
        async with serving(0.02, 0.02) as (hasty, _):
            with pytest.raises(TimeoutError, match="no answer"):
                await hasty.fork([0])
        async with standing_still(pids):
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(forks.fork([0]))
                # It has sent what it has to.
                await asyncio.sleep(0)
                asking.cancel()
            assert asking.cancelled()
            assert state(pids[0]) == ""
        # What it would have replied to that is nobody's.
        async with forked(forks) as another:
            assert (await another.said()).pid == another.child.pid


async def test_program_that_cannot_fork_is_an_error() -> None:
    for program, failure in (("/missing", FileNotFoundError), ("/bin/false", ConnectionError)):
        forks = ForkServer(partial(started, "none", python=program))
        with pytest.raises(failure):
            await forks.fork([0])
        await forks.aclose()


async def test_want_of_descriptors_costs_a_child_and_not_the_fork_server() -> None:
    async with serving() as (forks, pids), forked(forks) as first:
        await first.said()
        [pid] = pids
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (5, limits[1]))
        for others in ((1, 2), ()):
            with pytest.raises(OSError, match="Too many open files"):
                async with forked(forks, *others):
                    pass
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        async with forked(forks, 1, 2) as second:
            assert (await second.said()).descriptors == 3
        assert pids == [pid]


async def test_child_that_nobody_was_told_of_is_reaped() -> None:
    async with serving() as (forks, pids):
        async with forked(forks) as running:
            await running.said()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            async with asyncio.TaskGroup() as group, standing_still(pids):
                asking = group.create_task(forks.fork([theirs.fileno()]))
                await asyncio.sleep(0)
                asking.cancel()
                await asyncio.sleep(0)
            # It forked before it noticed that.
            assert state(pids[0]) == ""
            [lost] = set(children_of(os.getpid())) - {running.child.pid}
            ours.setblocking(False)
        await until(lambda: state(lost) == "Z")
        async with forked(forks) as another:
            await another.said()
            assert state(lost) == ""


async def test_fork_server_ends_when_nobody_waits_for_its_reply_any_more() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = await started(
            "tests.support.forking", [theirs.fileno()], path=[str(ROOT), *sys.path]
        )
    channel, at_child = socket.socketpair()
    channel.setblocking(False)
    with channel:
        with ours, at_child:
            socket.send_fds(ours, [b"\1"], [at_child.fileno()])
        assert await process.wait() == 0
        loop = asyncio.get_running_loop()
        said = Said(*literal_eval((await loop.sock_recv(channel, 200)).decode()))
        assert said.descriptors == 1
        # It is a child of this process nevertheless.
        child = Child(said.pid)
    assert await child.wait() == 0


async def test_children_are_awaited_also_where_their_ends_were_to_be_ignored() -> None:
    """As it is inherited from whoever started this process."""
    handler = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with adopting_orphans():
            async with serving() as (forks, _), forked(forks) as running:
                assert await running.ended(7) == 7
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGCHLD, handler)


async def test_fork_server_ends_when_nobody_can_ask_any_more() -> None:
    async with serving() as (forks, pids), forked(forks) as running:
        await running.said()
        await forks.aclose()
        assert state(pids[0]) == ""
        assert await running.ended(4) == 4
