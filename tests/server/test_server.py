"""Where the servers say they listen, and what is left when one of them cannot."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

import pytest

from gateway.config.effective import Effective
from gateway.server.server import Server
from tests.support.harness import RawClient, connected, gateway_before, has_ipv6, once, settings
from tests.support.upstream import upstream_answering

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_address_of_ipv6_stands_in_brackets(orchestrator: object) -> None:
    del orchestrator
    places = {"host": "::1", "port": 0}
    async with gateway_before("http://127.0.0.1:9", listen=places, admin=places) as server:
        for url in (server.url, server.admin_url):
            assert url.startswith("http://[::1]:")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_client_of_ipv4_is_the_same_one_on_a_listener_of_every_interface(
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"host": "::", "port": 0}
    async with (
        upstream_answering(OK) as script,
        gateway_before(
            script.url,
            listen=places,
            admin=places,
            log={"access": True, "format": "text"},
            limits={"mode": "enforce", "connections_per_address": 1},
        ) as server,
    ):
        port, admin_port = (url.rpartition(":")[2] for url in (server.url, server.admin_url))
        async with connected(f"http://127.0.0.1:{port}") as client:
            await client.send(GET)
            assert (await client.answer())[1] == b"ok"
            # Counted under the same address, whichever way it is written.
            head, _ = await once(f"http://127.0.0.1:{port}", GET)
            assert head.startswith(b"HTTP/1.1 429 ")
            head, _ = await once(f"http://[::1]:{port}", GET)
            assert head.startswith(b"HTTP/1.1 200 ")
        assert b"X-Forwarded-For: 127.0.0.1\r\n" in script.heads[0]
        for host in ("127.0.0.1", "[::1]"):
            head, _ = await once(f"http://{host}:{admin_port}", b"GET /live" + GET[5:])
            assert head.startswith(b"HTTP/1.1 200 ")
    logged = capsys.readouterr().out
    assert "client=127.0.0.1" in logged
    assert "ffff" not in logged


@pytest.mark.parametrize("listener", ["listen", "admin"])
async def test_nothing_is_left_listening_when_one_listener_cannot(listener: str) -> None:
    free = {name: free_port() for name in ("listen", "admin")}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = free | {listener: taken.getsockname()[1]}
        config = settings(
            "http://127.0.0.1:9", **{name: {"port": port} for name, port in ports.items()}
        )
        with pytest.raises(OSError, match="address already in use"):
            async with Server(Effective(config)):
                pass
    [other] = {"listen", "admin"} - {listener}
    with pytest.raises(ConnectionRefusedError):
        async with connected(f"http://127.0.0.1:{free[other]}"):
            pass


async def test_draining_server_that_is_idle_is_done_at_once() -> None:
    async with gateway_before("http://127.0.0.1:9", listen={"drain_seconds": 3600}) as server:
        head, _ = await once(server.url, GET)
        assert head.startswith(b"HTTP/1.1 502 ")
        await server.drain()


async def test_what_is_on_its_way_when_the_end_comes_is_answered() -> None:
    async with (
        upstream_answering(OK) as script,
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as group,
    ):
        server = await stack.enter_async_context(gateway_before(script.url))
        host, port = server.url.removeprefix("http://").split(":")

        async def end() -> None:
            await server.drain()
            await stack.aclose()

        async with connected(server.url) as kept, connected(server.url) as new:
            await kept.send(GET)
            assert (await kept.answer())[1] == b"ok"
            # The loop has no chance to accept these.
            waiting = [socket.create_connection((host, int(port))) for _ in range(20)]
            for sock in waiting:
                sock.sendall(GET)
            group.create_task(end())
            await asyncio.sleep(0.03)
            with pytest.raises(ConnectionRefusedError):
                async with connected(server.url):
                    pass
            for client in (kept, new):
                await client.send(GET)
                head, content = await client.answer()
                assert content == b"ok"
                assert b"\r\nConnection: close\r\n" in head
            for sock in waiting:
                reader, writer = await asyncio.open_connection(sock=sock)
                assert (await RawClient(reader, writer).answer())[1] == b"ok"
                writer.close()


@pytest.mark.virtual_time
async def test_end_waits_for_clients_that_go_on_asking_however_soon_each_is_answered() -> None:
    async with (
        upstream_answering(OK) as script,
        gateway_before(script.url) as server,
        AsyncExitStack() as stack,
    ):
        kept = [await stack.enter_async_context(connected(server.url)) for _ in range(4)]
        for client in kept:
            await client.send(GET)
            assert (await client.answer())[1] == b"ok"
        draining = asyncio.get_running_loop().create_task(server.drain())
        for client in kept:
            await asyncio.sleep(0.33)
            assert not draining.done()
            await client.send(GET)
            assert (await client.answer())[1] == b"ok"
        await draining


async def test_server_ends_though_clients_keep_their_connections() -> None:
    async with gateway_before("http://127.0.0.1:9") as server, connected(server.url) as client:
        await client.send(GET)
        await client.answer()
        await server.drain()
    assert await client.until_closed() == b""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
