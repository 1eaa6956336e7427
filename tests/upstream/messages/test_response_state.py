"""The table of a response's moves. Readers that make them: test_response_reader.py."""

from __future__ import annotations

from gateway.upstream.messages import response_state as states
from gateway.upstream.messages.response_state import MOVES, ResponseState


def test_every_state_can_be_reached_and_left_but_the_ends() -> None:
    moves = {(before, after) for moves in MOVES.values() for before, after in moves.items()}
    entered = {after for before, after in moves if before is not after}
    left = {before for before, after in moves if before is not after}
    assert entered | {states.IDLE} == set(ResponseState)
    assert left == set(ResponseState) - {states.SPENT, states.FAILED}


def test_no_request_goes_out_after_any_doubt() -> None:
    assert set(states.REQUEST) == {states.IDLE, states.WHOLE}


def test_a_connection_can_be_lost_in_every_state_and_none_is_whole_then() -> None:
    assert set(states.BREAK) == set(ResponseState)
    assert not {states.WHOLE, states.AWAITED, states.CONTENT} & set(states.BREAK.values())
