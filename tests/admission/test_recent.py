"""What is forgotten first."""

from __future__ import annotations

from gateway.admission.recent import Recent


def test_longest_unused_is_forgotten_first() -> None:
    recent: Recent[int] = Recent(2)
    recent.keep(b"a", 1)
    recent.keep(b"b", 2)
    assert recent.get(b"a") == 1
    recent.keep(b"c", 3)
    assert (recent.get(b"a"), recent.get(b"b"), recent.get(b"c")) == (1, None, 3)
    assert len(recent) == 2


def test_value_that_is_replaced_pushes_out_nothing() -> None:
    recent: Recent[int] = Recent(2)
    recent.keep(b"a", 1)
    recent.keep(b"b", 2)
    recent.keep(b"a", 3)
    recent.keep(b"c", 4)
    assert (recent.get(b"a"), recent.get(b"b")) == (3, None)


def test_asking_whether_there_is_one_counts_as_no_use() -> None:
    recent: Recent[int] = Recent(1)
    recent.keep(b"a", 1)
    assert b"a" in recent
    recent.keep(b"b", 2)
    assert b"a" not in recent


def test_value_that_is_taken_out_is_gone() -> None:
    recent: Recent[int] = Recent(2)
    recent.keep(b"a", 1)
    assert (recent.pop(b"a"), recent.pop(b"a")) == (1, None)
    recent.keep(b"b", 2)
    recent.clear()
    assert len(recent) == 0
