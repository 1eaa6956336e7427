"""Memory that jobs and results take: who gets room, and that none is lost."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.limits.buffers import SMALL_BYTES, Buffers
from gateway.errors import MemoryFull

KIB = 1024
MIB = 1024 * KIB
MOST, LARGEST = 8 * MIB, MIB


def test_one_client_takes_no_more_than_its_share() -> None:
    buffers = Buffers(MOST, LARGEST)
    first, second, other = buffers.of(b"a"), buffers.of(b"a"), buffers.of(b"b")
    first.grow(MIB)
    second.grow(MIB)
    with pytest.raises(MemoryFull, match="of this client") as refused:
        second.grow(1)
    assert refused.value.status == 503
    assert refused.value.fields == ((b"Retry-After", b"1"),)
    other.grow(MIB)
    assert (buffers.total, buffers.refused) == (3 * MIB, 1)
    first.release()
    second.grow(MIB)
    assert (first.size, second.size, buffers.total) == (0, 2 * MIB, 3 * MIB)


def test_all_together_take_no_more_than_there_is_and_small_ones_find_room_longer() -> None:
    buffers = Buffers(MOST, LARGEST)
    for number in range(7):
        buffers.of(b"%d" % number).grow(MIB)
    with pytest.raises(MemoryFull, match=r"^Jobs and results take"):
        buffers.of(b"large").grow(SMALL_BYTES + 1)
    growing = buffers.of(b"growing")
    growing.grow(SMALL_BYTES)
    with pytest.raises(MemoryFull):
        growing.grow(1)
    for number in range(MIB // SMALL_BYTES - 1):
        buffers.of(b"small %d" % number).grow(SMALL_BYTES)
    with pytest.raises(MemoryFull):
        buffers.of(b"small").grow(1)
    assert buffers.total == MOST


def test_largest_job_fits_into_a_share_however_small_that_is() -> None:
    buffers = Buffers(MIB, MIB)
    with buffers.of(b"a") as held:
        held.grow(MIB)
        with pytest.raises(MemoryFull):
            buffers.of(b"b").grow(1)
    buffers.of(b"b").grow(MIB)


def test_what_is_there_already_is_counted_and_never_refused() -> None:
    buffers = Buffers(MIB, KIB)
    held = buffers.of(b"a")
    held.become(2 * MIB)
    assert (buffers.total, buffers.refused) == (2 * MIB, 0)
    with pytest.raises(MemoryFull):
        buffers.of(b"b").grow(1)
    held.become(1)
    buffers.of(b"b").grow(KIB)
    assert buffers.total == KIB + 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(["grow", "grow", "grow", "shrink", "release"]),
            st.integers(0, 3 * MIB),
        ),
        max_size=60,
    )
)
def test_bytes_are_neither_lost_nor_exceeded(steps: list[tuple[int, str, int]]) -> None:
    buffers = Buffers(MOST, LARGEST)
    held = [buffers.of(b"%d" % (number % 3)) for number in range(6)]
    for number, step, size in steps:
        one = held[number]
        if step == "grow":
            with suppress(MemoryFull):
                one.grow(size)
        else:
            one.become(min(size, one.size) if step == "shrink" else 0)
        sizes = [other.size for other in held]
        assert buffers.total == sum(sizes) <= MOST
        for client in range(3):
            assert sizes[client] + sizes[client + 3] <= MOST // 4
    for one in held:
        one.release()
    assert buffers.total == 0
    assert not buffers._by_client, "nothing is kept of a client that has nothing"


def test_what_is_taken_stays_so_under_a_lower_bound() -> None:
    buffers = Buffers(MOST, LARGEST)
    taken = buffers.of(b"a")
    taken.grow(2 * MIB)
    buffers.reconfigure(MIB, MIB)
    assert buffers.total == 2 * MIB
    with pytest.raises(MemoryFull):
        buffers.of(b"b").grow(1)
    taken.release()
    buffers.of(b"b").grow(KIB)
