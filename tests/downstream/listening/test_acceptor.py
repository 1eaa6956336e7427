"""Connections are taken one at a time, and where there is no place they wait."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from array import array
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.downstream.listening.acceptor import CALM_SECONDS, PATIENCE_SECONDS, REFUSING, Acceptor
from gateway.downstream.listening.fair_turns import PATIENCE_SECONDS as TURN_SECONDS
from gateway.downstream.listening.fair_turns import FairTurns
from gateway.downstream.listening.places import Places
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Served(asyncio.Protocol):
    """Takes a place, and says so."""

    def __init__(self, door: Door, *, is_refused: bool = False) -> None:
        self._door = door
        self._is_refused = is_refused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._is_refused:
            self._door.places.refusing += 1
        else:
            self._door.places.taken += 1
            self._door.let_in.append(transport)
        transport.write(b"no" if self._is_refused else b"ok")

    def connection_lost(self, _: Exception | None) -> None:
        if self._is_refused:
            self._door.places.refusing -= 1
        else:
            self._door.places.taken -= 1


class Door:
    def __init__(
        self, most: int, sock: socket.socket, *, tells: bool = True, turns: FairTurns | None = None
    ) -> None:
        self.places = Places(most)
        self.let_in: list[asyncio.Transport] = []
        self.shorts = 0
        self.acceptor = Acceptor(
            [sock],
            lambda: Served(self),
            self.places,
            refuse=(lambda: Served(self, is_refused=True)) if tells else None,
            on_short=self._on_short,
            turns=turns,
        )

    def _on_short(self) -> None:
        self.shorts += 1


@asynccontextmanager
async def door(
    most: int, *, tells: bool = True, turns: FairTurns | None = None
) -> AsyncIterator[Door]:
    sock = socket.create_server(("127.0.0.1", 0))
    opened = Door(most, sock, tells=tells, turns=turns)
    opened.acceptor.start()
    try:
        yield opened
    finally:
        await opened.acceptor.aclose()
        for transport in opened.let_in:
            transport.abort()
        await asyncio.sleep(0)


@contextmanager
def clients(address: tuple[str, int], count: int) -> Iterator[list[socket.socket]]:
    made = [socket.create_connection(address) for _ in range(count)]
    for client in made:
        client.setblocking(False)
    try:
        yield made
    finally:
        for client in made:
            client.close()


def heard(client: socket.socket) -> bytes:
    """What it has been told so far."""
    try:
        return client.recv(2, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


def address_of(opened: Door) -> tuple[str, int]:
    [sock] = opened.acceptor._sockets
    host, port = sock.getsockname()
    return host, port


async def test_processes_that_share_a_socket_share_what_comes_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as sock:
        doors = [Door(100, sock.dup()) for _ in range(2)]
        with clients(sock.getsockname(), 64):
            for opened in doors:
                opened.acceptor.start()
            await until(lambda: sum(opened.places.taken for opened in doors) == 64)
            assert [opened.places.taken for opened in doors] == [32, 32]
            for opened in doors:
                await opened.acceptor.aclose()
        await until(lambda: not any(opened.places.taken for opened in doors))


def among(*connections: int) -> tuple[FairTurns, memoryview]:
    """The turns of a process that shares its sockets with others, which have so many connections
    and take none; and the cells of all."""
    cells = memoryview(array("q", [0, 0] * (1 + len(connections))))
    for number, count in enumerate(connections, 1):
        cells[2 * number] = count
    return FairTurns(cells, 1, asyncio.get_running_loop().time), cells


@pytest.mark.virtual_time
async def test_connection_that_is_anothers_turn_is_left_to_it_but_not_for_long() -> None:
    turns, cells = among(0)
    loop = asyncio.get_running_loop()
    async with door(9, turns=turns) as opened:
        with clients(address_of(opened), 3) as made:
            began = loop.time()
            await until(lambda: heard(made[1]) == b"ok")
            assert heard(made[2]) == b""
            await until(lambda: heard(made[2]) == b"ok")
            assert TURN_SECONDS <= loop.time() - began < 2 * TURN_SECONDS
            assert cells[0] == 3
            made[0].close()
            # The others are told, also where nobody else comes.
            await until(lambda: cells[0] == 2)
        await until(lambda: not opened.places.taken)
    assert cells[0] == -1


@pytest.mark.virtual_time
async def test_who_left_a_connection_to_another_that_took_it_listens_on() -> None:
    turns, cells = among(0, 9)
    async with door(9, turns=turns) as opened:
        address = address_of(opened)
        with clients(address, 2) as made:
            await until(lambda: heard(made[1]) == b"ok")
            looks = cells[1]
            with clients(address, 1):
                await until(lambda: cells[1] > looks)
                [sock] = opened.acceptor._sockets
                sock.accept()[0].close()
                await asyncio.sleep(TURN_SECONDS)
            assert opened.places.taken == 2
            cells[2] = 9
            with clients(address, 1) as [last]:
                await until(lambda: heard(last) == b"ok")


@pytest.mark.virtual_time
async def test_process_without_a_place_is_left_no_connection() -> None:
    turns, cells = among(9)
    async with door(1, turns=turns) as opened:
        with clients(address_of(opened), 2) as made:
            await until(lambda: opened.places.are_short)
            assert cells[0] == -1
            made[0].close()
            await until(lambda: heard(made[1]) == b"ok")
            assert cells[0] == 1


@pytest.mark.virtual_time
async def test_who_leaves_a_connection_to_another_and_drains_takes_it() -> None:
    turns, cells = among(0)
    async with door(9, turns=turns) as opened:
        with clients(address_of(opened), 3) as made:
            await until(lambda: heard(made[1]) == b"ok")
            assert heard(made[2]) == b""
            opened.acceptor.drain()
            await until(lambda: heard(made[2]) == b"ok")
            assert cells[0] == -1
        await until(lambda: not opened.places.taken)


@pytest.mark.virtual_time
async def test_who_comes_while_all_places_are_taken_waits_and_is_let_in_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with door(3) as opened:
        with clients(address_of(opened), 6) as made:
            await until(lambda: opened.places.are_short)
            await asyncio.sleep(PATIENCE_SECONDS / 2)
            assert [heard(client) for client in made] == [b"ok"] * 3 + [b""] * 3
            assert opened.shorts >= 2
            made[0].close()
            made[1].close()
            await until(lambda: len(opened.let_in) == 5)
            await asyncio.sleep(PATIENCE_SECONDS / 2)
            assert [heard(client) for client in made[2:]] == [b"ok"] * 3 + [b""]
            made[2].close()
            await until(lambda: heard(made[5]) == b"ok")
            assert not opened.places.are_short
            assert opened.places.refused == 0
            await asyncio.sleep(CALM_SECONDS + 1)
        await until(lambda: not opened.places.taken)
    assert caplog.messages == ["new clients have to wait: all 3 places are taken"]


@pytest.mark.virtual_time
async def test_shortage_is_told_again_only_after_a_calm_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with door(1) as opened:
        for seconds in (CALM_SECONDS / 2, CALM_SECONDS * 2, 0):
            with clients(address_of(opened), 2) as made:
                await until(lambda: opened.places.are_short)
                made[0].close()
                await until(lambda: heard(made[1]) == b"ok")
            await until(lambda: not opened.places.taken)
            await asyncio.sleep(seconds)
    assert caplog.messages == ["new clients have to wait: all 1 places are taken"] * 2


@pytest.mark.virtual_time
async def test_who_waits_in_vain_is_told_a_few_at_once() -> None:
    async with door(2) as opened:
        with clients(address_of(opened), 2 + 2 * REFUSING) as made:
            await asyncio.sleep(PATIENCE_SECONDS + 1)
            assert opened.places.taken == 2
            assert opened.places.refusing == REFUSING
            told = [heard(client) for client in made]
            assert told == [b"ok"] * 2 + [b"no"] * REFUSING + [b""] * REFUSING
            for client in made[2 : 2 + REFUSING]:
                client.close()
            await until(lambda: heard(made[-1]) == b"no")
            assert opened.places.refused == 2 * REFUSING
        await until(lambda: not opened.places.refusing)


@pytest.mark.virtual_time
async def test_who_cannot_be_told_waits_on() -> None:
    async with door(1, tells=False) as opened:
        with clients(address_of(opened), 2) as made:
            await asyncio.sleep(2 * PATIENCE_SECONDS)
            assert heard(made[1]) == b""
            made[0].close()
            await until(lambda: heard(made[1]) == b"ok")


@pytest.mark.virtual_time
async def test_connection_that_no_descriptor_is_left_for_is_not_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = socket.socket()
    async with door(100) as opened:
        with clients(address_of(opened), 2) as made, no_descriptor_left():
            await until(lambda: opened.places.are_short)
            assert [heard(client) for client in made] == [b""] * 2
            spare.close()
            await until(lambda: heard(made[0]) == b"ok")

            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            await until(lambda: heard(made[1]) == b"ok")
    assert caplog.messages[0] == "new clients have to wait: Too many open files"


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Within the block this process can open nothing."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    free = [os.dup(0) for _ in range(highest)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(free) + 1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in free:
            os.close(descriptor)


@pytest.mark.virtual_time
async def test_what_has_come_is_taken_before_the_socket_is_closed() -> None:
    async with door(50) as opened:
        with clients(address_of(opened), 60) as made:
            opened.acceptor.drain()
            await until(lambda: opened.places.taken == 50)
            assert {heard(client) for client in made[:50]} == {b"ok"}
        await until(lambda: not opened.places.taken)


async def test_connections_that_another_process_has_accepted_are_gone_on_with_as_places_allow() -> (
    None
):
    async with door(1) as opened:
        with socket.create_server(("127.0.0.1", 0)) as other:
            clients = [socket.create_connection(other.getsockname()) for _ in range(2)]
            opened.acceptor.adopt([other.accept()[0] for _ in clients])
        for client, said in zip(clients, (b"ok", b""), strict=True):
            reader, writer = await asyncio.open_connection(sock=client)
            assert await reader.read(2) == said
            writer.close()


async def test_connections_of_others_are_closed_where_there_is_tls() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    acceptor = Acceptor([listening], asyncio.Protocol, Places(1), ssl=None)
    acceptor.start()
    ours, theirs = socket.socketpair()
    acceptor.adopt([theirs])
    assert ours.recv(1) == b""
    ours.close()
    await acceptor.aclose()
