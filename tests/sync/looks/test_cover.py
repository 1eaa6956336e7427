from itertools import product

import pytest

from gateway.sync.looks.cover import LISTED, MOVES, SCOUTED, SEEN, Cover


@pytest.mark.parametrize(("cover", "after"), [*product(Cover, Cover)])
def test_every_state_is_in_the_table(cover: Cover, after: Cover) -> None:
    assert (after in MOVES[cover]) <= (cover is not after)


def test_scout_asks_for_what_it_sees_and_for_what_it_may_see() -> None:
    assert SEEN | {Cover.NEW} == SCOUTED
    assert SCOUTED - {Cover.LEFT} == LISTED
