from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.limits.holds import GRACE_SECONDS, Holds, Place

JOB = "64ac6478646bb71ee82e3a72"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_places_are_counted_for_each_client_and_in_all() -> None:
    holds = Holds(3, Clock())
    for key in (b"a", b"a", b"b"):
        assert not holds.are_full
        holds.enter(key)
    assert holds.are_full
    assert (holds.of(b"a"), holds.of(b"b"), holds.of(b"c")) == (2, 1, 0)
    holds.leave(b"a")
    assert not holds.are_full
    assert holds.of(b"a") == 1


def test_nothing_is_kept_of_clients_that_have_no_place() -> None:
    clock = Clock()
    holds = Holds(3, clock)
    for number in range(1000):
        key = b"%d" % number
        holds.enter(key)
        holds.keep(key, key, JOB)
        if number % 2:
            assert holds.resume(key, JOB)
            holds.leave(key)
        else:
            clock.now += GRACE_SECONDS
        assert holds.of(b"unseen") == 0
    assert holds.total == 0
    assert [holds._by_key, holds._kept, holds._by_wait] == [{}, {}, {}]


def test_each_of_several_waiters_on_a_job_has_a_place_of_its_own() -> None:
    clock = Clock()
    holds = Holds(9, clock)
    for _ in range(2):
        holds.enter(b"a")
        holds.keep(b"a", b"a", JOB)
        clock.now += 1
    assert holds.resume(b"a", JOB)
    assert holds.of(b"a") == 2
    clock.now += GRACE_SECONDS - 2
    assert holds.of(b"a") == 2, "the first was resumed, the second is kept a second longer"
    clock.now += 1
    assert holds.of(b"a") == 1
    assert not holds.resume(b"a", JOB)


def test_nothing_is_kept_beyond_the_bound_where_that_is_not_enforced() -> None:
    holds = Holds(2, Clock())
    for _ in range(5):
        holds.enter(b"a")
    for _ in range(5):
        holds.keep(b"a", b"a", JOB)
    assert holds.total == len(holds._kept) == 2


def test_lower_bound_takes_no_place_that_is_in_use_or_kept() -> None:
    clock = Clock()
    holds = Holds(3, clock)
    for _ in range(3):
        holds.enter(b"a")
    holds.keep(b"a", b"a", JOB)
    holds.reconfigure(1)
    assert holds.are_full
    holds.keep(b"a", b"a", "other")
    assert holds.total == 3
    assert holds.resume(b"a", JOB) == b"a"
    for _ in range(2):
        holds.leave(b"a")
    assert holds.are_full, "the one that is kept is as many as there may be"
    clock.now += GRACE_SECONDS
    assert not holds.are_full


def test_client_finds_its_place_again_under_the_key_that_it_was_counted_by() -> None:
    holds = Holds(3, Clock())
    holds.enter(b"client/rule")
    holds.keep(b"client/rule", b"client", JOB)
    assert holds.resume(b"client", JOB) == b"client/rule"
    assert holds.of(b"client/rule") == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enter", "resume", "leave", "keep", "later"]),
            st.sampled_from([b"a", b"b"]),
            st.sampled_from(["1", "2"]),
        ),
        max_size=60,
    )
)
def test_every_place_is_in_use_or_kept_and_none_is_lost(
    steps: list[tuple[str, bytes, str]],
) -> None:
    clock = Clock()
    holds = Holds(1000, clock)
    in_use = {b"a": 0, b"b": 0}
    kept: list[tuple[float, bytes, str]] = []
    for step, key, job_id in steps:
        kept = [one for one in kept if one[0] > clock.now]
        if step == "later":
            clock.now += 2.0
        elif step == "enter":
            holds.enter(key)
            in_use[key] += 1
        elif step == "resume":
            mine = [one for one in kept if one[1:] == (key, job_id)]
            assert holds.resume(key, job_id) == (key if mine else None)
            if mine:
                kept.remove(mine[0])
                in_use[key] += 1
        elif in_use[key]:
            in_use[key] -= 1
            if step == "keep":
                holds.keep(key, key, job_id)
                kept.append((clock.now + GRACE_SECONDS, key, job_id))
            else:
                holds.leave(key)
        now_kept = [one for one in kept if one[0] > clock.now]
        for client, count in in_use.items():
            assert holds.of(client) == count + sum(one[1] == client for one in now_kept)
        assert holds.total == sum(in_use.values()) + len(now_kept)


@pytest.mark.parametrize(
    ("failure", "next_job", "left_for"),
    [
        (None, "", ""),
        (None, JOB, JOB),
        (ValueError(), "", ""),
        (asyncio.CancelledError(), "", "expected"),
    ],
)
def test_place_is_kept_for_who_is_sent_on_or_was_cut_off(
    failure: BaseException | None, next_job: str, left_for: str
) -> None:
    left: list[str] = []
    try:
        with Place(left.append, "expected") as place:
            place.keep(next_job)
            if failure is not None:
                raise failure
    except type(failure or ValueError()):
        pass
    assert left == [left_for]
