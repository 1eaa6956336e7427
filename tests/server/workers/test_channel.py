"""Both ends of the channel between a worker and its supervisor."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from gateway.config import Config, ListenConfig
from gateway.server.workers.channel import (
    Asking,
    Channel,
    Message,
    Order,
    Question,
    Start,
    WorkerReply,
    WorkerSettings,
)
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@asynccontextmanager
async def channels() -> AsyncIterator[tuple[Channel, Channel]]:
    """The supervisor's end and the worker's."""
    ours, theirs = [await Channel.over(sock) for sock in socket.socketpair()]
    try:
        yield ours, theirs
    finally:
        ours.close()
        theirs.close()


@asynccontextmanager
async def asking(
    told: Callable[[WorkerReply], None] = lambda _: None,
) -> AsyncIterator[tuple[Asking, Channel]]:
    tasks = Tasks()
    async with channels() as (ours, theirs):
        asked = Asking(ours, told)
        tasks.spawn(asked.run(), name="answers")
        try:
            yield asked, theirs
        finally:
            await tasks.aclose()


def content(response: msgspec.Raw | None) -> object:
    assert response is not None
    return msgspec.json.decode(response)


def reply(to: Question, content: object) -> WorkerReply:
    return WorkerReply(to, msgspec.Raw(msgspec.json.encode(content)))


async def test_settings_and_orders_arrive_as_they_were_sent() -> None:
    config = Config(listen=ListenConfig(trusted_proxies=("10.0.0.0/8",)))
    start = Start(2, [7, 8], WorkerSettings(config, 3))
    async with channels() as (ours, theirs):
        ours.send(start)
        ours.send(Message(order=Order.DRAIN))
        assert await theirs.receive(Start) == start
        assert await theirs.receive(Message) == Message(order=Order.DRAIN)


async def test_end_of_one_end_is_seen_at_the_other() -> None:
    async with channels() as (ours, theirs):
        theirs.close()
        assert await ours.receive(Message) is None
        ours.close()
        ours.send(Message(order=Order.STOP))


async def test_line_that_breaks_off_is_no_message() -> None:
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours)
    with theirs:
        theirs.sendall(b'{"order":"stop"}')
    assert await channel.receive(Message) is None
    channel.close()


async def test_reset_of_the_channel_is_its_end() -> None:
    async with channels() as (ours, theirs):
        # What was sent and never read makes the close a reset.
        ours.send(Message(order=Order.DRAIN))
        await asyncio.sleep(0)
        theirs.close()
        assert await ours.receive(Message) is None


async def test_question_that_is_open_is_asked_once_and_answers_all() -> None:
    async with asking() as (asked, worker):
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(asked.ask(Question.METRICS, 5)) for _ in range(3)]
            other = group.create_task(asked.ask(Question.LIVE, 5))
            questions = [await worker.receive(Message), await worker.receive(Message)]
            worker.send(reply(Question.LIVE, ""))
            worker.send(reply(Question.METRICS, "page"))
        assert [content(response.result()) for response in answers] == ["page"] * 3
        assert content(other.result()) == ""
        assert questions == [Message(Question.METRICS), Message(Question.LIVE)]


async def test_answer_that_comes_late_is_for_who_asks_then() -> None:
    async with asking() as (asked, worker):
        assert await asked.ask(Question.LIVE, 0.01) is None
        assert await asked.ask(Question.LIVE, 0.01) is None
        worker.send(reply(Question.READY, "nobody asked"))
        worker.send(reply(Question.LIVE, "late"))
        assert content(await asked.ask(Question.LIVE, 5)) == "late"
        assert await worker.receive(Message) == Message(Question.LIVE)
        worker.close()
        assert await worker.receive(Message) is None


async def test_worker_that_ends_answers_nothing_more() -> None:
    async with asking() as (asked, worker), asyncio.TaskGroup() as group:
        response = group.create_task(asked.ask(Question.LIVE, 60))
        await worker.receive(Message)
        worker.close()
        assert await response is None
        assert await asked.ask(Question.LIVE, 60) is None


async def test_whatever_a_worker_replies_is_told_asked_or_not() -> None:
    told: list[WorkerReply] = []
    async with asking(told.append) as (asked, worker):
        worker.send(reply(Question.METRICS, "unasked"))
        worker.send(reply(Question.LIVE, ""))
        assert await asked.ask(Question.LIVE, 5) is not None
        assert told == [reply(Question.METRICS, "unasked"), reply(Question.LIVE, "")]


async def test_flush_waits_until_all_that_was_sent_is_on_its_way() -> None:
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours)
    with theirs:
        theirs.setblocking(False)
        channel.send(reply(Question.METRICS, "x" * 4_000_000))
        flushing = asyncio.ensure_future(channel.flush(5))  # noqa: TID251 - awaited below
        loop, received = asyncio.get_running_loop(), 0
        while received < 4_000_000:
            assert not flushing.done() or received > 3_000_000
            received += len(await loop.sock_recv(theirs, 65536))
        await flushing
    channel.close()


async def test_flush_gives_up_where_nobody_reads() -> None:
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours)
    with theirs:
        channel.send(reply(Question.METRICS, "x" * 4_000_000))
        await channel.flush(0.01)
    await channel.flush(1)
    channel.close()
