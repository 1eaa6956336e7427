"""Which of several processes takes the next connection."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.downstream.listening.fair_turns import PATIENCE_SECONDS, FairTurns


class Table:
    """The processes with their connections, and a clock that stands still."""

    def __init__(self, *connections: int) -> None:
        self.now = 100.0
        self.cells = memoryview(array("q", [0, 0] * len(connections)))
        self.turns = [
            FairTurns(self.cells, number, self._clock) for number in range(1, len(connections) + 1)
        ]
        for turns, count in zip(self.turns, connections, strict=True):
            turns.tell(count)

    def _clock(self) -> float:
        return self.now

    @property
    def connections(self) -> list[int]:
        return list(self.cells[::2])

    def take(self, at: int) -> bool:
        """One of them is woken."""
        is_own = self.turns[at].is_own()
        if is_own:
            self.turns[at].tell(self.connections[at] + 1)
        return is_own

    def give_up_waiting(self, at: int) -> bool:
        self.now += PATIENCE_SECONDS
        return self.take(at)


def test_single_process_takes_all() -> None:
    table = Table(50)
    assert all(table.take(0) for _ in range(50))


def test_who_has_more_than_its_share_leaves_the_next_to_the_others() -> None:
    table = Table(0, 0)
    assert [table.take(0) for _ in range(4)] == [True, True, False, False]
    assert [table.take(1) for _ in range(4)] == [True, True, True, True]
    assert table.take(0)


@given(st.lists(st.integers(0, 3), min_size=400, max_size=400))
@pytest.mark.no_cover
def test_however_they_are_woken_nobody_has_twice_as_many_as_another(order: list[int]) -> None:
    table = Table(0, 0, 0, 0)
    for at in order:
        if sum(table.connections) < 64 and not table.take(at):
            # All are awake: whoever has fewest takes it while this one waits.
            assert table.take(table.connections.index(min(table.connections)))
    assert max(table.connections) <= 2 * min(table.connections) + 2


def test_who_lets_a_connection_lie_is_waited_for_once() -> None:
    table = Table(9, 0)
    assert not table.take(0)
    assert table.give_up_waiting(0)
    assert all(table.take(0) for _ in range(20))


def test_who_let_one_lie_is_left_some_again_once_it_looks() -> None:
    table = Table(9, 0)
    table.take(0)
    table.give_up_waiting(0)
    assert table.take(0)
    assert table.take(1)
    assert not table.take(0)


def test_who_looks_but_is_slow_keeps_its_turn() -> None:
    table = Table(9, 0)
    assert not table.take(0)
    assert table.turns[1].is_own()
    assert table.give_up_waiting(0)
    assert not table.take(0)


def test_connection_is_left_for_the_whole_time_again_after_another_was_taken() -> None:
    table = Table(9, 0)
    assert not table.take(0)
    table.now += PATIENCE_SECONDS
    table.turns[0].settle()
    assert not table.take(0)
    table.now += PATIENCE_SECONDS / 2
    assert not table.take(0)
    assert table.give_up_waiting(0)


def test_process_that_takes_none_is_left_none() -> None:
    table = Table(9, 0)
    table.turns[1].leave()
    assert table.take(0)


def test_process_that_begins_again_is_left_its_share() -> None:
    table = Table(9, 0, 9)
    table.turns[1].leave()
    assert table.take(0)
    table.turns[1].tell(0)
    assert [table.take(0), table.take(2)] == [False, False]
    assert table.take(1)


def test_process_that_came_to_be_behind_while_one_waited_is_not_taken_for_silent() -> None:
    table = Table(9, 0, 9)
    assert not table.take(0)
    table.turns[2].tell(0)
    assert table.give_up_waiting(0)
    assert not table.take(0)


def test_waking_is_counted_whatever_comes_of_it() -> None:
    table = Table(9, 0)
    for _ in range(3):
        table.take(0)
        table.take(1)
    assert list(table.cells[1::2]) == [3, 3]
