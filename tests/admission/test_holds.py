from __future__ import annotations

from gateway.admission.holds import Holds


def test_holds_are_counted_for_each_client_and_in_all() -> None:
    holds = Holds(3)
    for key in (b"a", b"a", b"b"):
        assert not holds.are_full
        holds.enter(key)
    assert holds.are_full
    assert (holds.of(b"a"), holds.of(b"b"), holds.of(b"c")) == (2, 1, 0)
    holds.leave(b"a")
    assert not holds.are_full
    assert holds.of(b"a") == 1


def test_nothing_is_kept_of_clients_that_hold_nothing() -> None:
    holds = Holds(3)
    for number in range(1000):
        holds.enter(b"%d" % number)
        holds.leave(b"%d" % number)
        assert holds.of(b"unseen") == 0
    assert not holds._by_key
    assert holds.total == 0
