"""What any sequence of requests may take of a budget."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.limits.gcra import MAX_DEBT, SECOND, Rate
from gateway.admission.limits.memory_budgets import Budget, MemoryBudgets, Use
from gateway.protocols.theeye.routes import RouteKind

KEY = b"k" * 16
RATE = Rate(10.0, 4)
RATES = st.builds(Rate, st.floats(0.01, 1000, allow_nan=False), st.integers(1, 20))
GAPS = st.lists(st.integers(0, 3 * SECOND) | st.just(0), min_size=1, max_size=80)


def budget(key: bytes = KEY, rate: Rate = RATE, *, is_known: bool = False) -> Budget:
    return Budget(RouteKind.OTHER, key, rate, is_known)


def admitted(budgets: MemoryBudgets, arrivals: list[int], of: Budget) -> list[int]:
    return [now for now in arrivals if budgets.use((of,), Use.TAKE, now).refused is None]


@given(rate=RATES, gaps=GAPS)
def test_no_window_has_more_than_burst_and_rate_allow(rate: Rate, gaps: list[int]) -> None:
    times = admitted(MemoryBudgets(), list(accumulate(gaps)), budget(rate=rate))
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            seconds = (times[last] - start) / SECOND
            # A microsecond more a second: intervals are whole, rates are not.
            assert last - first + 1 <= rate.burst + rate.per_second * seconds * 1.000001


@given(rate=RATES, gaps=GAPS)
def test_who_stays_below_the_rate_is_never_refused(rate: Rate, gaps: list[int]) -> None:
    arrivals = list(accumulate(rate.interval + gap for gap in gaps))
    assert admitted(MemoryBudgets(), arrivals, budget(rate=rate)) == arrivals


@given(rate=RATES, gaps=GAPS)
def test_being_refused_costs_nothing(rate: Rate, gaps: list[int]) -> None:
    arrivals = list(accumulate(gaps))
    once = admitted(MemoryBudgets(), arrivals, budget(rate=rate))
    assert admitted(MemoryBudgets(), once, budget(rate=rate)) == once
    for earlier, later in pairwise(once):
        assert later >= earlier


def test_looking_takes_nothing_and_sees_what_is_left() -> None:
    budgets = MemoryBudgets()
    for _ in range(10):
        assert budgets.use((budget(),), Use.LOOK, 0).refused is None
    assert len(admitted(budgets, [0] * 10, budget())) == RATE.burst
    own = budget()
    assert budgets.use((own,), Use.LOOK, 0).refused is own


def test_what_is_owed_is_taken_from_an_empty_budget_and_has_to_be_waited_for() -> None:
    budgets = MemoryBudgets()
    for _ in range(RATE.burst + 3):
        assert budgets.use((budget(),), Use.OWE, 0).refused is None
    assert admitted(budgets, [3 * RATE.interval], budget()) == []
    assert admitted(budgets, [4 * RATE.interval], budget()) == [4 * RATE.interval]


def test_debt_is_bounded() -> None:
    budgets = MemoryBudgets()
    for _ in range(RATE.burst + 2 * MAX_DEBT):
        budgets.use((budget(),), Use.OWE, 0)
    over = (MAX_DEBT + 1) * RATE.interval
    assert admitted(budgets, [over - 1, over], budget()) == [over]


@pytest.mark.parametrize("empty", [0, 1])
def test_of_several_budgets_all_are_taken_or_none(empty: int) -> None:
    budgets = MemoryBudgets()
    pair = (budget(b"one"), budget(b"two"))
    admitted(budgets, [0] * RATE.burst, pair[empty])
    for _ in range(10):
        assert budgets.use(pair, Use.TAKE, 0).refused == pair[empty]
    assert len(admitted(budgets, [0] * 10, pair[1 - empty])) == RATE.burst


def test_kinds_are_counted_apart() -> None:
    budgets = MemoryBudgets()
    admitted(budgets, [0] * 10, budget())
    create = Budget(RouteKind.CREATE, KEY, RATE, is_known=False)
    assert len(admitted(budgets, [0] * 10, create)) == RATE.burst


def test_flood_of_unknown_keys_resets_no_known_budget() -> None:
    budgets = MemoryBudgets(size=8)
    known = budget(is_known=True)
    assert len(admitted(budgets, [0] * 10, known)) == RATE.burst
    for number in range(1000):
        admitted(budgets, [0], budget(b"%d" % number))
    assert admitted(budgets, [0] * 10, known) == []


def test_flood_of_refused_requests_resets_no_budget_at_all() -> None:
    budgets = MemoryBudgets(size=8)
    spent, address = budget(b"spent"), budget(b"address")
    admitted(budgets, [0] * 10, spent)
    admitted(budgets, [0] * 10, address)
    for number in range(1000):
        assert budgets.use((budget(b"%d" % number), address), Use.TAKE, 0).refused == address
    assert admitted(budgets, [0], spent) == []


def test_token_that_becomes_known_gets_no_new_budget() -> None:
    budgets = MemoryBudgets()
    admitted(budgets, [0] * 3, budget())
    assert admitted(budgets, [0] * 10, budget(is_known=True)) == [0]


def test_as_many_budgets_are_kept_as_allowed() -> None:
    budgets = MemoryBudgets(size=8)
    for number in range(1000):
        for is_known in (True, False):
            admitted(budgets, [0], budget(b"%d" % number, is_known=is_known))
    assert len(budgets._known[RouteKind.OTHER]) == len(budgets._unknown[RouteKind.OTHER]) == 8


def test_those_in_memory_are_counted_by_what_is_known_of_their_tokens() -> None:
    budgets = MemoryBudgets()
    for key in (b"1", b"2"):
        budgets.use((budget(key),), Use.TAKE, 0)
    budgets.use((budget(b"3", is_known=True),), Use.TAKE, 0)
    assert budgets.kept() == {"known": 1, "unknown": 2}
