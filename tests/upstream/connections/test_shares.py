"""How places are shared out. Connections with it: test_pool.py."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.connections.shares import GREED, Shares

HOLDERS = st.sampled_from([b"a", b"b", b"c", b"d"])


@pytest.mark.parametrize(
    ("clients", "most", "free"), [(1, 299, 149), (2, 180, 89), (10, 43, 21), (100, 5, 2)]
)
def test_clients_that_take_what_they_can_get_have_the_same_and_leave_some(
    clients: int, most: int, free: int
) -> None:
    shares = Shares(448)
    holders = [b"%d" % number for number in range(clients)]
    held = Counter[bytes]()
    while any(shares.may_take(holder) for holder in holders):
        for holder in holders:
            if shares.may_take(holder):
                shares.take(holder)
                held[holder] += 1
    assert max(held.values()) == most
    assert max(held.values()) - min(held.values()) <= 1
    assert 448 - held.total() == free
    assert shares.may_take(b"another")


@given(most=st.integers(1, 20), steps=st.lists(st.tuples(HOLDERS, st.booleans())))
def test_no_client_ever_holds_more_than_its_share(
    most: int, steps: list[tuple[bytes, bool]]
) -> None:
    shares = Shares(most)
    held = Counter[bytes]()
    for holder, takes in steps:
        if takes and shares.may_take(holder):
            shares.take(holder)
            held[holder] += 1
            assert held[holder] <= GREED * (most - held.total() + 1)
        elif not takes and held[holder]:
            shares.give_back(holder)
            held[holder] -= 1
        assert held.total() <= most
        assert shares.is_full is (held.total() == most)


def test_nothing_is_left_of_a_client_that_has_given_all_back() -> None:
    shares = Shares(3)
    for _ in range(3):
        shares.take(b"a")
    for _ in range(3):
        shares.give_back(b"a")
    assert shares._held == {}
