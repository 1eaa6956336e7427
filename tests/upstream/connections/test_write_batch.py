from __future__ import annotations

import asyncio
from typing import cast

import pytest

from gateway.upstream.connections.write_batch import FEW, MOST, WriteBatch


class Transport:
    def __init__(self, written: list[bytes], *, closing: bool = False, fails: bool = False) -> None:
        self._written = written
        self._closing = closing
        self._fails = fails
        self.aborted = False

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes) -> None:
        if self._fails:
            raise RuntimeError("no such handle")
        self._written.append(data)

    def abort(self) -> None:
        self.aborted = True

    def as_transport(self) -> asyncio.WriteTransport:
        return cast("asyncio.WriteTransport", self)


def gathering() -> WriteBatch:
    write_batch = WriteBatch()
    write_batch.under_way = FEW + 1
    return write_batch


async def test_with_little_to_do_a_write_goes_out_at_once() -> None:
    written: list[bytes] = []
    WriteBatch().write(Transport(written).as_transport(), b"a")
    assert written == [b"a"]


async def test_no_write_overtakes_one_that_waits() -> None:
    written: list[bytes] = []
    write_batch, transport = gathering(), Transport(written).as_transport()
    write_batch.write(transport, b"a")
    write_batch.under_way = FEW
    write_batch.write(transport, b"b")
    assert written == []
    await asyncio.sleep(0)
    assert written == [b"a", b"b"]


async def test_writes_go_out_in_order_before_anything_that_was_made_ready_later() -> None:
    written: list[bytes] = []
    write_batch, transport = gathering(), Transport(written).as_transport()
    write_batch.write(transport, b"a")
    asyncio.get_running_loop().call_soon(written.append, b"later")
    write_batch.write(transport, b"b")
    assert written == []
    await asyncio.sleep(0)
    assert written == [b"a", b"b", b"later"]


async def test_no_more_than_some_wait_for_each_other() -> None:
    written: list[bytes] = []
    write_batch, transport = gathering(), Transport(written).as_transport()
    for number in range(MOST + 1):
        write_batch.write(transport, b"%d" % number)
    assert len(written) == MOST
    await asyncio.sleep(0)
    assert len(written) == MOST + 1


async def test_nothing_is_written_to_a_transport_that_was_closed_meanwhile() -> None:
    written: list[bytes] = []
    write_batch = gathering()
    write_batch.write(Transport(written, closing=True).as_transport(), b"a")
    write_batch.flush()
    assert written == []


async def test_transport_that_fails_is_given_up_and_the_others_written_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    written: list[bytes] = []
    write_batch, failing = gathering(), Transport(written, fails=True)
    write_batch.write(failing.as_transport(), b"a")
    write_batch.write(Transport(written).as_transport(), b"b")
    write_batch.flush()
    assert written == [b"b"]
    assert failing.aborted
    assert "cannot write" in caplog.text
