"""Who gets a connection when there are not enough of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.config import UpstreamConfig
from gateway.errors import BadGateway, GatewayTimeout, Overloaded, TooManyRequests
from gateway.upstream.connections.pool import Pool, PoolStats
from gateway.upstream.connections.write_batch import WriteBatch
from tests.support.replay import until
from tests.support.upstream import Peer, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.upstream.connections.connection import Connection

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
CLIENT = b"a client"


class Dialing:
    """Connects to ``url``, fails where ``failures`` has one next, and can be made to hang."""

    def __init__(self, url: str) -> None:
        self._address = url.removeprefix("http://").rsplit(":", 1)
        self.failures: list[Exception] = []
        self.hangs = False
        self.go_on = asyncio.Event()
        self.dialed = 0

    async def __call__(self, protocol: Callable[[], asyncio.Protocol]) -> object:
        self.dialed += 1
        host, port = self._address
        if self.hangs:
            await self.go_on.wait()
        if self.failures:
            raise self.failures.pop(0)
        return await asyncio.get_running_loop().create_connection(protocol, host, int(port))


@asynccontextmanager
async def pool_of(most: int, connect_seconds: float = 5.0) -> AsyncIterator[tuple[Pool, Dialing]]:
    async def serve(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(OK)

    async with upstream_doing(serve) as script:
        dialing = Dialing(script.url)
        config = UpstreamConfig(max_connections=most, connect_seconds=connect_seconds)
        pool = Pool(dialing, config, WriteBatch())
        try:
            yield pool, dialing
        finally:
            pool.close()
            await asyncio.sleep(0)


async def used(connection: Connection) -> Connection:
    """The connection after an exchange, so that it may be kept."""
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", method="GET")
    while connection.take() is None:
        await connection.arrived(5)
    return connection


async def waiting(
    pool: Pool, holder: bytes = b"", *, fresh: bool = False
) -> asyncio.Task[Connection]:
    """Somebody who stands in line for a connection."""
    queued = pool.stats().queued
    task = asyncio.get_running_loop().create_task(pool.acquire(holder, fresh=fresh))
    await until(lambda: pool.stats().queued > queued)
    return task


async def test_kept_connections_are_used_again_unless_a_fresh_one_is_asked_for() -> None:
    async with pool_of(1) as (pool, dialing):
        first = await used(await pool.acquire())
        pool.release(first)
        assert await pool.acquire() is first
        pool.release(first)
        second = await pool.acquire(fresh=True)
        assert second is not first
        assert (dialing.dialed, pool.stats()) == (2, PoolStats(busy=1, idle=0, queued=0))


async def test_kept_connection_that_is_closing_is_not_used() -> None:
    async with pool_of(1) as (pool, _):
        first = await used(await pool.acquire())
        pool.release(first)
        first.close()
        assert pool.take() is None
        assert await pool.acquire() is not first


async def test_connection_goes_to_who_waits_longest() -> None:
    async with pool_of(1) as (pool, dialing):
        first = await used(await pool.acquire())
        early, late = await waiting(pool), await waiting(pool)
        pool.release(first)
        assert await early is first
        assert not late.done()
        pool.release(first)
        assert await late is first
        assert dialing.dialed == 1


async def test_who_waits_for_a_fresh_connection_gets_one() -> None:
    async with pool_of(1) as (pool, dialing):
        first = await used(await pool.acquire())
        fresh = await waiting(pool, fresh=True)
        pool.release(first)
        assert await fresh is not first
        assert (dialing.dialed, pool.stats().busy) == (2, 1)


@pytest.mark.parametrize("is_kept", [True, False])
async def test_who_leaves_just_when_its_turn_comes_hands_it_on(is_kept: bool) -> None:
    async with pool_of(1) as (pool, dialing):
        first = await used(await pool.acquire())
        leaving, staying = await waiting(pool), await waiting(pool)
        if not is_kept:
            first.close()
        pool.release(first)
        leaving.cancel()
        assert (await staying is first) is is_kept
        assert leaving.cancelled()
        assert dialing.dialed == (1 if is_kept else 2)
        assert pool.stats() == PoolStats(busy=1, idle=0, queued=0)


async def test_who_has_left_is_passed_over() -> None:
    async with pool_of(1) as (pool, _):
        first = await used(await pool.acquire())
        leaving, staying = await waiting(pool), await waiting(pool)
        leaving.cancel()
        pool.release(first)
        assert await staying is first


async def test_place_of_a_failed_connection_goes_to_who_waits() -> None:
    async with pool_of(1) as (pool, dialing):
        dialing.hangs = True
        failing = asyncio.get_running_loop().create_task(pool.acquire())
        await until(lambda: dialing.dialed > 0)
        queued = await waiting(pool)
        dialing.failures.append(ConnectionRefusedError())
        dialing.go_on.set()
        with pytest.raises(BadGateway):
            await failing
        assert (await queued).is_open
        assert pool.stats().busy == 1


async def test_waiting_is_bounded_by_the_connect_time() -> None:
    async with pool_of(1, connect_seconds=0.01) as (pool, dialing):
        dialing.hangs = True
        with pytest.raises(GatewayTimeout):
            await pool.acquire()
        dialing.hangs = False
        taken = await used(await pool.acquire())
        with pytest.raises(Overloaded):
            await pool.acquire()
        pool.release(taken)
        assert await pool.acquire() is taken


async def test_relayed_requests_leave_places_for_the_gateways_own() -> None:
    async with pool_of(8) as (pool, dialing):
        clients = [b"%d" % number for number in range(7)]
        relayed = [await used(await pool.acquire(client)) for client in clients]
        late = await waiting(pool, CLIENT)
        own = await used(await pool.acquire())
        assert dialing.dialed == 8
        pool.release(own)
        assert pool.take(CLIENT) is None
        assert not late.done()
        pool.release(relayed[0], clients[0])
        assert await late is relayed[0]
        assert pool.take() is own


async def test_client_that_takes_all_it_can_get_leaves_places_for_others() -> None:
    """Two thirds of the seven that relayed requests may have, then half of what is left."""
    async with pool_of(8) as (pool, _):
        for _ in range(5):
            assert (await pool.acquire(b"greedy")).is_open
        assert pool.take(b"greedy") is None
        kept = await used(await pool.acquire(b"other"))
        pool.release(kept, b"other")
        late = await waiting(pool, b"greedy")
        assert pool.take(b"other") is kept, "who waits for its share keeps no other waiting"
        assert not late.done()
        pool.release(kept, b"other")
        late.cancel()
        await asyncio.wait([late])
        assert pool.stats() == PoolStats(busy=5, idle=1, queued=0)


async def test_client_that_waits_for_its_share_gets_a_place_when_it_gives_one_back() -> None:
    async with pool_of(8) as (pool, _):
        held = [await used(await pool.acquire(b"greedy")) for _ in range(5)]
        late, later = await waiting(pool, b"greedy"), await waiting(pool, b"greedy")
        pool.release(held[0], b"greedy")
        assert await late is held[0]
        assert not later.done()
        held[1].close()
        pool.release(held[1], b"greedy")
        assert (await later).is_open
        assert pool.stats().busy == 5


async def test_client_that_holds_its_share_is_told_so_and_others_that_all_are_in_use() -> None:
    async with pool_of(2, connect_seconds=0.01) as (pool, _):
        held = [await used(await pool.acquire(b"greedy")) for _ in range(2)]
        for client in (b"greedy", b"other"):
            with pytest.raises(Overloaded):
                await pool.acquire(client)
        for connection in held:
            pool.release(connection, b"greedy")
    async with pool_of(4, connect_seconds=0.01) as (pool, _):
        for _ in range(3):
            await pool.acquire(b"greedy")
        with pytest.raises(TooManyRequests) as refused:
            await pool.acquire(b"greedy")
        assert refused.value.fields == ((b"Retry-After", b"1"),)
        assert pool.stats() == PoolStats(busy=3, idle=0, queued=0, refused=1)


async def test_clients_that_wait_are_served_in_turn() -> None:
    async with pool_of(1) as (pool, _):
        first = await used(await pool.acquire(b"a"))
        clients = [b"a", b"a", b"b", b"a", b"c"]
        line = [await waiting(pool, client) for client in clients]
        order: list[int] = []
        for _ in line:
            pool.release(first, clients[order[-1]] if order else b"a")
            await asyncio.sleep(0)
            order += [at for at, turn in enumerate(line) if turn.done() and at not in order]
        assert order == [0, 2, 4, 1, 3]


async def test_gateways_own_requests_come_first() -> None:
    async with pool_of(1) as (pool, _):
        first = await used(await pool.acquire(CLIENT))
        relayed = await waiting(pool, CLIENT)
        own = await waiting(pool)
        pool.release(first, CLIENT)
        assert await own is first
        pool.release(first)
        assert await relayed is first
        pool.release(first, CLIENT)
        assert pool.take(CLIENT) is first


async def test_relayed_request_that_fails_or_leaves_gives_its_place_back() -> None:
    async with pool_of(2) as (pool, dialing):
        for _ in range(5):
            dialing.failures.append(OSError())
            with pytest.raises(BadGateway):
                await pool.acquire(CLIENT)
        kept = [await used(await pool.acquire(CLIENT)) for _ in range(2)]
        for is_kept in (True, False):
            leaving, staying = await waiting(pool, CLIENT), await waiting(pool, CLIENT)
            if not is_kept:
                kept[0].close()
                await asyncio.sleep(0)
            pool.release(kept[0], CLIENT)
            leaving.cancel()
            kept[0] = await used(await staying)
        for connection in kept:
            pool.release(connection, CLIENT)
        for _ in range(2):
            assert pool.take(CLIENT) is not None


async def test_fresh_connection_for_a_relayed_request_takes_one_place() -> None:
    async with pool_of(1) as (pool, dialing):
        pool.release(await used(await pool.acquire(CLIENT)), CLIENT)
        fresh = await used(await pool.acquire(CLIENT, fresh=True))
        pool.release(fresh, CLIENT)
        assert pool.take(CLIENT) is fresh
        assert dialing.dialed == 2
