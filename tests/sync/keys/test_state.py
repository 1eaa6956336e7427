from __future__ import annotations

import itertools

import pytest

from gateway.sync.keys.state import FOLLOWERS, KeyState, check_move


@pytest.mark.parametrize(("before", "after"), [*itertools.product(KeyState, KeyState)])
def test_only_moves_of_the_table_are_made(before: KeyState, after: KeyState) -> None:
    if after in FOLLOWERS[before]:
        check_move(before, after)
    else:
        with pytest.raises(AssertionError, match=f"{before} does not become {after}"):
            check_move(before, after)


def test_no_move_leads_from_a_job_that_may_exist_to_another_request() -> None:
    assert [state for state in KeyState if KeyState.SENDING in FOLLOWERS[state]] == [
        KeyState.ABSENT
    ]
