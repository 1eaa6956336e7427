"""A creating request on its way upstream; tests/sync/test_create.py has what is sent."""

from __future__ import annotations

import asyncio

import pytest

from gateway.admission.limits.buffers import Buffers
from gateway.downstream.request import Client
from gateway.errors import BadGateway, Field
from gateway.sync.jobs.creation import CreationSending, Creator
from tests.support.theeye import TheEye, exchange, job, reply

pytestmark = pytest.mark.virtual_time

CONTENT = b"[" + b" " * 1000 + b"]"


def sending(upstream: TheEye, buffers: Buffers, *, is_counted: bool = True) -> CreationSending:
    def outbound(client: Client, _request_id: str) -> list[Field]:
        return [*client.fields, (b"Transfer-Encoding", b"chunked")]

    asked = exchange("POST", "/task/1/job")
    if is_counted:
        asked.buffered = buffers.of(b"k")
        asked.buffered.grow(len(CONTENT))
    return CreationSending(Creator(upstream, outbound, buffers, 8192), asked, CONTENT)


@pytest.mark.parametrize("is_counted", [True, False])
async def test_content_and_the_reply_that_repeats_it_are_counted_until_the_reply_is_there(
    is_counted: bool,
) -> None:
    buffers = Buffers(1 << 20, 1 << 20)
    upstream = TheEye(reply(job()), latency_seconds=1.0)
    asking = asyncio.get_running_loop().create_task(
        sending(upstream, buffers, is_counted=is_counted).reply()
    )
    await asyncio.sleep(0.5)
    assert buffers.total == 2 * len(CONTENT)
    await asking
    assert buffers.total == 0
    assert upstream.asked[0].fields == []


async def test_failure_leaves_nothing_counted() -> None:
    buffers = Buffers(1 << 20, 1 << 20)
    failing = sending(TheEye(None), buffers)
    assert not failing.was_sent
    with pytest.raises(BadGateway):
        await failing.reply()
    assert buffers.total == 0
