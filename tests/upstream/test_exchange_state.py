"""The table of an exchange's moves. Exchanges that make them: test_exchange.py."""

from __future__ import annotations

from gateway.upstream import exchange_state as states
from gateway.upstream.exchange_state import MOVES, UpstreamExchangeState

ENDS = {states.OVER, states.FAILED, states.LEFT}


def test_every_state_can_be_reached_and_left_but_the_ends() -> None:
    moves = {(before, after) for moves in MOVES.values() for before, after in moves.items()}
    entered = {after for before, after in moves if before is not after}
    left = {before for before, after in moves if before is not after}
    assert entered | {states.UNSENT} == set(UpstreamExchangeState)
    assert left == set(UpstreamExchangeState) - {states.OVER, states.FAILED}


def test_an_exchange_that_has_ended_never_has_a_connection_again() -> None:
    for moves in MOVES.values():
        assert all(after in ENDS for before, after in moves.items() if before in ENDS)


def test_a_request_is_sent_only_where_it_is_not_under_way() -> None:
    assert set(states.CALL) == set(states.SEND) == {states.UNSENT}
    assert set(states.RETRY.values()) == {states.UNSENT}
