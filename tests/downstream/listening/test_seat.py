"""How connections are counted. On sockets: tests/downstream/test_listener.py."""

from __future__ import annotations

import pytest

from gateway.admission.connections import SURPLUS, Connections
from gateway.downstream.listening.places import Places
from gateway.downstream.listening.seat import CONNECTIONS, DESCRIPTORS, Seating
from gateway.errors import Overloaded, TooManyRequests


def seating(*, most: int = 1, is_enforced: bool = True) -> Seating:
    return Seating(Places(100), Connections(most, lambda _: False), is_enforced=is_enforced)


def test_connection_is_counted_until_it_is_given_up() -> None:
    seats = seating()
    for _ in range(2):
        seat = seats.take("192.0.2.1", has_place=True)
        assert (seat.limit, seat.refusal, seat.is_surplus) == ("", None, False)
        assert seats.places.taken == 1
        seats.give_up(seat)
        assert seats.places.taken == 0


def test_connections_over_the_bound_are_told_so_and_at_last_not_even_that() -> None:
    seats = seating()
    taken = [seats.take("192.0.2.1", has_place=True) for _ in range(SURPLUS + 2)]
    assert [seat.limit for seat in taken] == ["", *[CONNECTIONS] * (SURPLUS + 1)]
    assert all(isinstance(seat.refusal, TooManyRequests) for seat in taken[1:])
    assert [seat.is_surplus for seat in taken] == [*[False] * (SURPLUS + 1), True]
    assert seats.take("192.0.2.2", has_place=True).refusal is None


def test_bound_that_is_not_enforced_is_only_told_of() -> None:
    seats = seating(is_enforced=False)
    taken = [seats.take("192.0.2.1", has_place=True) for _ in range(SURPLUS + 2)]
    assert [seat.limit for seat in taken] == ["", *[CONNECTIONS] * (SURPLUS + 1)]
    assert not any(seat.refusal or seat.is_surplus for seat in taken)


@pytest.mark.parametrize("address", ["", "192.0.2.1"])
def test_connection_without_an_address_or_a_bound_is_counted_as_a_place_only(address: str) -> None:
    seats = seating(most=0 if address else 1)
    taken = [seats.take(address, has_place=True) for _ in range(3)]
    assert seats.places.taken == 3
    assert not any(seat.limit for seat in taken)
    for seat in taken:
        seats.give_up(seat)
    assert seats.places.taken == 0


def test_connection_without_a_place_takes_none() -> None:
    seats = seating()
    seat = seats.take("192.0.2.1", has_place=False)
    assert seat.limit == DESCRIPTORS
    assert isinstance(seat.refusal, Overloaded)
    assert (seats.places.taken, seats.places.refusing) == (0, 1)
    assert seats.take("192.0.2.1", has_place=True).refusal is None
    seats.give_up(seat)
    assert (seats.places.taken, seats.places.refusing) == (1, 0)
