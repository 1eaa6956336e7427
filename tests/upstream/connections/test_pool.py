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

    from gateway.upstream.connections.pool import Lease

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
async def pool_of(most: int) -> AsyncIterator[tuple[Pool, Dialing]]:
    async def serve(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(OK)

    async with upstream_doing(serve) as script:
        dialing = Dialing(script.url)
        config = UpstreamConfig(max_connections=most)
        pool = Pool(dialing, config, WriteBatch())
        try:
            yield pool, dialing
        finally:
            pool.close()
            await asyncio.sleep(0)


async def used(lease: Lease) -> Lease:
    """The lease after an exchange, so that the connection may be kept."""
    connection = lease.connection
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", method="GET")
    while connection.take() is None:
        await connection.arrived(5)
    return lease


def after(lease: Lease | None, other: Lease) -> bool:
    """Whether a lease is of the connection that another was of."""
    return lease is not None and lease is not other and lease.connection is other.connection


async def waiting(pool: Pool, holder: bytes = b"", *, fresh: bool = False) -> asyncio.Task[Lease]:
    """Somebody who stands in line for a connection."""
    queued = pool.stats().queued
    task = asyncio.get_running_loop().create_task(pool.acquire(holder, fresh=fresh))
    await until(lambda: pool.stats().queued > queued)
    return task


async def test_kept_connections_are_used_again_unless_a_fresh_one_is_asked_for() -> None:
    async with pool_of(1) as (pool, dialing):
        first = await used(await pool.acquire())
        first.release()
        again = await pool.acquire()
        assert after(again, first)
        again.release()
        second = await pool.acquire(fresh=True)
        assert not after(second, first)
        assert (dialing.dialed, pool.stats()) == (2, PoolStats(busy=1, idle=0, queued=0))


async def test_kept_connection_that_is_closing_is_not_used() -> None:
    async with pool_of(1) as (pool, _):
        first = await used(await pool.acquire())
        first.release()
        first.connection.close()
        assert pool.take() is None
        assert not after(await pool.acquire(), first)


async def test_connection_goes_to_who_waits_longest() -> None:
    async with pool_of(1) as (pool, dialing):
        first = await used(await pool.acquire())
        early, late = await waiting(pool), await waiting(pool)
        first.release()
        second = await early
        assert after(second, first)
        assert not late.done()
        second.release()
        assert after(await late, first)
        assert dialing.dialed == 1


async def test_who_waits_for_a_fresh_connection_gets_one() -> None:
    async with pool_of(1) as (pool, dialing):
        first = await used(await pool.acquire())
        fresh = await waiting(pool, fresh=True)
        first.release()
        assert not after(await fresh, first)
        assert (dialing.dialed, pool.stats().busy) == (2, 1)


@pytest.mark.parametrize("is_kept", [True, False])
async def test_who_leaves_just_when_its_turn_comes_hands_it_on(is_kept: bool) -> None:
    async with pool_of(1) as (pool, dialing):
        first = await used(await pool.acquire())
        leaving, staying = await waiting(pool), await waiting(pool)
        if not is_kept:
            first.connection.close()
        first.release()
        leaving.cancel()
        assert after(await staying, first) is is_kept
        assert leaving.cancelled()
        assert dialing.dialed == (1 if is_kept else 2)
        assert pool.stats() == PoolStats(busy=1, idle=0, queued=0)


async def test_who_has_left_is_passed_over() -> None:
    async with pool_of(1) as (pool, _):
        first = await used(await pool.acquire())
        leaving, staying = await waiting(pool), await waiting(pool)
        leaving.cancel()
        first.release()
        assert after(await staying, first)


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
        assert (await queued).connection.is_open
        assert pool.stats().busy == 1


@pytest.mark.virtual_time
async def test_waiting_is_bounded_by_the_connect_time() -> None:
    async with pool_of(1) as (pool, dialing):
        dialing.hangs = True
        with pytest.raises(GatewayTimeout):
            await pool.acquire()
        dialing.hangs = False
        taken = await used(await pool.acquire())
        with pytest.raises(Overloaded):
            await pool.acquire()
        taken.release()
        assert after(await pool.acquire(), taken)


async def test_relayed_requests_leave_places_for_the_gateways_own() -> None:
    async with pool_of(8) as (pool, dialing):
        clients = [b"%d" % number for number in range(7)]
        relayed = [await used(await pool.acquire(client)) for client in clients]
        late = await waiting(pool, CLIENT)
        own = await used(await pool.acquire())
        assert dialing.dialed == 8
        own.release()
        assert pool.take(CLIENT) is None
        assert not late.done()
        relayed[0].release()
        assert after(await late, relayed[0])
        assert after(pool.take(), own)


async def test_client_that_takes_all_it_can_get_leaves_places_for_others() -> None:
    """Two thirds of the seven that relayed requests may have, then half of what is left."""
    async with pool_of(8) as (pool, _):
        for _ in range(5):
            assert (await pool.acquire(b"greedy")).connection.is_open
        assert pool.take(b"greedy") is None
        kept = await used(await pool.acquire(b"other"))
        kept.release()
        late = await waiting(pool, b"greedy")
        again = pool.take(b"other")
        assert again is not None
        assert after(again, kept), "a client that waits for its share keeps no other waiting"
        assert not late.done()
        again.release()
        late.cancel()
        await asyncio.wait([late])
        assert pool.stats() == PoolStats(busy=5, idle=1, queued=0)


async def test_client_that_waits_for_its_share_gets_a_place_when_it_gives_one_back() -> None:
    async with pool_of(8) as (pool, _):
        held = [await used(await pool.acquire(b"greedy")) for _ in range(5)]
        late, later = await waiting(pool, b"greedy"), await waiting(pool, b"greedy")
        held[0].release()
        assert after(await late, held[0])
        assert not later.done()
        held[1].connection.close()
        held[1].release()
        assert (await later).connection.is_open
        assert pool.stats().busy == 5


@pytest.mark.virtual_time
async def test_client_that_holds_its_share_is_told_so_and_others_that_all_are_in_use() -> None:
    async with pool_of(2) as (pool, _):
        held = [await used(await pool.acquire(b"greedy")) for _ in range(2)]
        for client in (b"greedy", b"other"):
            with pytest.raises(Overloaded):
                await pool.acquire(client)
        for lease in held:
            lease.release()
    async with pool_of(4) as (pool, _):
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
        last = first
        for _ in line:
            last.release()
            await asyncio.sleep(0)
            order += [at for at, task in enumerate(line) if task.done() and at not in order]
            last = await line[order[-1]]
        assert order == [0, 2, 4, 1, 3]


async def test_gateways_own_requests_come_first() -> None:
    async with pool_of(1) as (pool, _):
        first = await used(await pool.acquire(CLIENT))
        relayed = await waiting(pool, CLIENT)
        own = await waiting(pool)
        first.release()
        second = await own
        assert after(second, first)
        second.release()
        third = await relayed
        assert after(third, first)
        third.release()
        assert after(pool.take(CLIENT), first)


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
                kept[0].connection.close()
                await asyncio.sleep(0)
            kept[0].release()
            leaving.cancel()
            kept[0] = await used(await staying)
        for lease in kept:
            lease.release()
        for _ in range(2):
            assert pool.take(CLIENT) is not None


async def test_fresh_connection_for_a_relayed_request_takes_one_place() -> None:
    async with pool_of(1) as (pool, dialing):
        (await used(await pool.acquire(CLIENT))).release()
        fresh = await used(await pool.acquire(CLIENT, fresh=True))
        fresh.release()
        assert after(pool.take(CLIENT), fresh)
        assert dialing.dialed == 2
