"""One connection among those that are counted: has it a place, and has its address too many?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.admission.connections import SURPLUS
from gateway.errors import GatewayError, Overloaded, TooManyRequests

if TYPE_CHECKING:
    from gateway.admission.connections import Connections
    from gateway.downstream.listening.places import Places

CONNECTIONS = "connections_per_address"
DESCRIPTORS = "descriptors"
_AT_ONCE = ((b"Retry-After", b"1"),)


class Seating:
    """``by_address``: how many each address has, None without limits; ``is_enforced``: they are
    limited, not only counted."""

    __slots__ = ("_by_address", "_is_enforced", "places")

    def __init__(
        self, places: Places, by_address: Connections | None, *, is_enforced: bool
    ) -> None:
        self.places = places
        self._by_address = by_address
        self._is_enforced = is_enforced

    def reconfigure(self, *, is_enforced: bool) -> None:
        """Refuse the surplus from now on, or only count it."""
        self._is_enforced = is_enforced

    def take(self, address: str, *, has_place: bool) -> Seat:
        """Count a new connection. Without a place it is there to be told that there is none."""
        if not has_place:
            self.places.refusing += 1
            full = Overloaded("No more clients can be let in", fields=_AT_ONCE)
            return Seat(None, DESCRIPTORS, full)
        self.places.taken += 1
        connections = self._by_address
        key = "" if connections is None else connections.key(address)
        if connections is None or not key:
            return _PLAIN
        surplus = connections.opened(key)
        if not surplus:
            return Seat(key, "", None)
        if not self._is_enforced:
            return Seat(key, CONNECTIONS, None)
        refusal = TooManyRequests("Too many connections from one address", fields=_AT_ONCE)
        return Seat(key, CONNECTIONS, refusal, is_surplus=surplus > SURPLUS)

    def give_up(self, seat: Seat) -> None:
        """Count a connection off."""
        if seat.key is None:
            self.places.refusing -= 1
            return
        self.places.taken -= 1
        if seat.key and self._by_address is not None:
            self._by_address.closed(seat.key)


class Seat:
    """``key``: what it is counted under, None without a place; ``limit``: the limit it is over;
    ``refusal``: what each of its requests is told for that; ``is_surplus``: it is not even told."""

    __slots__ = ("is_surplus", "key", "limit", "refusal")

    def __init__(
        self, key: str | None, limit: str, refusal: GatewayError | None, *, is_surplus: bool = False
    ) -> None:
        self.key = key
        self.limit = limit
        self.refusal = refusal
        self.is_surplus = is_surplus


_PLAIN: Final = Seat("", "", None)
"""That of nearly all."""
