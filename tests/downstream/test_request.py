"""What the client's side does with a client that does not behave, over real sockets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.config import LimitsConfig, ListenConfig
from gateway.downstream.listener import ClientListener
from gateway.downstream.listening.places import Places
from gateway.downstream.request import PIECE_BYTES
from gateway.errors import ClientGone, RequestTimeout, Response
from tests.support.harness import RawClient, connected
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from gateway.downstream.request import Client
    from gateway.downstream.terms import RequestCycle

    Answering = Callable[[Client], Awaitable[None]]

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


class Handled:
    """A turn that always needs the connection's task."""

    def __init__(self, run: Answering, client: Client) -> None:
        self._run = run
        self._client = client

    def begin_at_once(self, _on_progress: object) -> bool:
        return False

    async def run(self) -> None:
        await self._run(self._client)

    def abandon(self) -> None: ...


class Handler:
    """Hands each request to ``answering``; its failures are kept."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._over: asyncio.Queue[BaseException | None] = asyncio.Queue()

    def accept(self, client: Client, refusal: object = None, limit: str = "") -> RequestCycle:
        del refusal, limit
        return Handled(self._run, client)

    async def _run(self, client: Client) -> None:
        try:
            await self._answering(client)
        except asyncio.CancelledError as left:
            self._over.put_nowait(left)
            raise
        except Exception as failure:
            self._over.put_nowait(failure)
            client.cut()
            client.cut()

    def listener(self, idle_seconds: float = 5.0) -> ClientListener:
        listen = ListenConfig(idle_seconds=idle_seconds)
        return ClientListener(
            self.accept, listen, LimitsConfig(), None, Places(100), spare_seconds=5.0
        )

    async def failure(self) -> BaseException | None:
        async with asyncio.timeout(5):
            return await self._over.get()


@asynccontextmanager
async def handled(
    answering: Answering, idle_seconds: float = 5.0
) -> AsyncIterator[tuple[Handler, RawClient]]:
    handler = Handler(answering)
    listener = handler.listener(idle_seconds)
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with connected(f"http://127.0.0.1:{port}") as client:
        yield handler, client
    server.close()
    await listener.shutdown(0.1)


async def read_all(client: Client) -> None:
    while await client.read():
        pass


async def flood(client: Client) -> None:
    client.begin(200, b"OK", [], is_sized=False)
    while True:
        client.write(b"x" * 65536)
        await client.drain()


async def test_client_that_stops_sending_its_content_is_given_up() -> None:
    async with handled(read_all, 0.02) as (handler, client):
        await client.send(POST + b"Content-Length: 5\r\n\r\nhel")
        assert isinstance(await handler.failure(), RequestTimeout)


async def test_client_that_leaves_within_its_content_is_gone() -> None:
    async with handled(read_all) as (handler, client):
        await client.send(POST + b"Content-Length: 5\r\n\r\nhel")
        client.writer.transport.abort()
        assert isinstance(await handler.failure(), asyncio.CancelledError | ClientGone)


async def test_client_that_takes_nothing_is_given_up() -> None:
    async with handled(flood, 0.02) as (handler, client):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert isinstance(await handler.failure(), ClientGone)


async def test_client_that_leaves_within_the_answer_is_gone() -> None:
    async with handled(flood) as (handler, client):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.head()
        client.writer.transport.abort()
        assert isinstance(await handler.failure(), asyncio.CancelledError | ClientGone)


async def test_client_that_has_left_before_the_answer_is_gone() -> None:
    async def late(client: Client) -> None:
        client.cut()
        await client.send(Response(200, b"too late"))

    async with handled(late) as (handler, client):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert isinstance(await handler.failure(), ClientGone)


async def test_rfc_9112_8_cut_is_a_reset_that_no_client_takes_for_the_end() -> None:
    async def breaks(client: Client) -> None:
        client.begin(200, b"OK", [], is_sized=False)
        client.write(b"half")
        await asyncio.sleep(0.02)
        raise ZeroDivisionError

    async with handled(breaks) as (_, client):
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.head()
            await client.until_closed()


@pytest.mark.parametrize(
    ("fields", "interim"),
    [
        (b"Expect: 100-Continue\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"Expect: something else\r\n", b""),
        (b"", b""),
    ],
)
async def test_rfc_9110_10_1_1_continue_is_said_once_to_a_client_that_expects_it(
    fields: bytes, interim: bytes
) -> None:
    async def echo(client: Client) -> None:
        first = await client.read()
        await client.send(Response(200, first + await client.read(), (), b"Fine"))

    async with handled(echo) as (_, client):
        await client.send(POST + fields + b"Content-Length: 2\r\n\r\n")
        if interim:
            assert await client.head() == interim
        await client.send(b"ok")
        head, content = await client.answer()
    assert head.startswith(b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nDate: ")
    assert content == b"ok"


async def test_answer_keeps_the_length_and_date_it_has_and_content_is_left_out_for_head() -> None:
    async def answer(client: Client) -> None:
        assert client.content_length is None
        fields = ((b"Date", b"then"), (b"content-length", b"2"))
        await client.send(Response(200, b"ok", fields))

    async with handled(answer) as (_, client):
        await client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await client.head()
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await client.answer() == (head, b"ok")
    assert head == b"HTTP/1.1 200 OK\r\nDate: then\r\ncontent-length: 2\r\n\r\n"


async def test_client_on_a_unix_socket_has_no_address_and_is_cut_too(tmp_path: Path) -> None:
    addresses = []

    async def breaks(client: Client) -> None:
        addresses.append(client.address)
        client.begin(200, b"OK", [(b"Content-Length", b"9")], is_sized=True)
        client.write(b"half")
        raise ZeroDivisionError

    listener = Handler(breaks).listener()
    path = str(tmp_path / "socket")
    server = await asyncio.get_running_loop().create_unix_server(listener, path)
    reader, writer = await asyncio.open_unix_connection(path)
    client = RawClient(reader, writer)
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.until_closed()).endswith(b"half")
    assert addresses == [""]
    writer.close()
    server.close()
    await listener.shutdown(0.1)


async def test_large_answer_is_handed_to_the_transport_in_pieces() -> None:
    content = b"".join(b"%07d\n" % number for number in range(2_500_000))
    waiting: list[int] = []

    async def send(client: Client) -> None:
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(client.send(Response(200, content)))
            await until(lambda: client.is_full or sending.done())
            transport = client._peer.transport
            assert transport is not None
            waiting.append(transport.get_write_buffer_size())

    async with handled(send) as (_, client):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.answer())[1] == content
    assert 0 < waiting[0] < 4 * PIECE_BYTES
