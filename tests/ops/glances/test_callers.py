from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.identity.identities import Identity
from gateway.ops.glances.callers import MOST, WINDOW_SECONDS, WINDOWS, Callers
from tests.support.records import exchange


def whose(number: int) -> Identity:
    key = number.to_bytes(16, "big")
    return Identity(key, "", "", "", key, False)


def observe(callers: Callers, number: int, at: float, **known: Any) -> None:
    record = exchange(identity=whose(number), **known)
    record.finished = at
    callers.observe(record)


def seen(callers: Callers, now: float, most: int = 10) -> list[tuple[int, int, int]]:
    return [
        (int.from_bytes(one.identity.key, "big"), one.requests, one.refused)
        for one in callers.busiest(most, now)
    ]


def test_busiest_come_first_with_what_was_refused() -> None:
    callers = Callers()
    for number, requests in ((1, 2), (2, 5), (3, 1)):
        for _ in range(requests):
            observe(callers, number, 100.0)
    observe(callers, 3, 100.0, reason="TooManyRequests")
    assert seen(callers, 100.0) == [(2, 5, 0), (1, 2, 0), (3, 2, 1)]
    assert seen(callers, 100.0, most=1) == [(2, 5, 0)]


def test_caller_is_told_with_the_address_it_first_came_from() -> None:
    callers = Callers()
    observe(callers, 1, 100.0, address="192.0.2.1")
    observe(callers, 1, 100.0, address="192.0.2.2")
    assert [one.address for one in callers.busiest(1, 100.0)] == ["192.0.2.1"]


def test_requests_of_the_last_minute_count_and_older_ones_are_forgotten() -> None:
    callers = Callers()
    for second in range(200):
        observe(callers, 1, 100.0 + second)
    ((_, requests, _),) = seen(callers, 299.0)
    assert WINDOW_SECONDS * (WINDOWS - 1) <= requests <= WINDOW_SECONDS * WINDOWS
    assert seen(callers, 299.0 + 30)[0][1] < requests
    assert seen(callers, 299.0 + 61) == []
    assert seen(callers, 1e6) == []


def test_flood_of_made_up_tokens_drives_out_no_busy_caller_and_fills_no_memory() -> None:
    callers = Callers()
    for number in range(20 * MOST):
        observe(callers, 1000 + number, 100.0)
        if number % 10 == 0:
            observe(callers, 7, 100.0)
    assert seen(callers, 100.0)[0][0] == 7
    assert len(callers.busiest(10 * MOST, 100.0)) <= MOST


@given(st.lists(st.integers(0, 3 * MOST), max_size=4 * MOST))
def test_counts_are_too_low_by_a_small_part_of_all_requests_at_most(numbers: list[int]) -> None:
    callers = Callers()
    for number in numbers:
        observe(callers, number, 100.0)
    counted = {number: requests for number, requests, _ in seen(callers, 100.0, most=10 * MOST)}
    for number, requests in Counter(numbers).items():
        assert requests - len(numbers) / (MOST + 1) <= counted.get(number, 0) <= requests
