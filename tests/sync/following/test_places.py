from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.following.places import FollowedPlaces, Owner
from gateway.sync.jobs.listing import MAX_JOBS
from gateway.sync.kept.result_key import ResultKey

_NUMBERS = itertools.count()


def key() -> ResultKey:
    return ResultKey(b"h" * 16, "acme", f"{next(_NUMBERS):024x}")


def taken(places: FollowedPlaces, owner: Owner, number: int) -> list[ResultKey]:
    keys = [key() for _ in range(number)]
    assert [places.take(one, owner) for one in keys] == [None] * number
    return keys


ACME, GLOBEX = Owner("acme", b"a"), Owner("globex", b"g")


@pytest.mark.parametrize(("most", "of_one"), [(1, 1), (3, 1), (8, 2), (100, 25), (5000, MAX_JOBS)])
def test_one_client_has_a_quarter_and_no_more_than_a_list_has(most: int, of_one: int) -> None:
    places = FollowedPlaces(most)
    keys = taken(places, ACME, of_one)
    assert places.take(key(), ACME) == keys[0]
    assert len(places) == of_one


def test_organization_with_many_tokens_takes_places_from_itself_only() -> None:
    places = FollowedPlaces(8)
    theirs = taken(places, GLOBEX, 2)
    for number in range(100):
        places.take(key(), Owner("acme", b"%d" % number))
    assert len(places) == 8
    assert all(places.take(key(), Owner("acme", b"x")) not in theirs for _ in range(20))


def test_newcomer_gets_the_oldest_place_of_who_has_most() -> None:
    places = FollowedPlaces(8)
    few, many = Owner("acme", b"few"), Owner("acme", b"many")
    taken(places, few, 1)
    keys = taken(places, many, 2)
    taken(places, GLOBEX, 2)
    taken(places, Owner("initech", b"i"), 1)
    taken(places, Owner("acme", b"other"), 2)
    assert places.take(key(), Owner("hooli", b"h")) == keys[0]


def test_place_that_was_given_back_is_free() -> None:
    places = FollowedPlaces(4)
    (mine,) = taken(places, ACME, 1)
    places.give_back(mine)
    assert len(places) == 0
    assert places.take(mine, ACME) is None


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([b"1", b"2", b"3"])), max_size=60),
)
def test_places_are_bounded_and_nobody_loses_one_to_who_has_more(
    most: int, comers: list[tuple[str, bytes]]
) -> None:
    places, owners = FollowedPlaces(most), dict[ResultKey, Owner]()
    for organization, client in comers:
        one, owner = key(), Owner(organization, client)
        before = Counter(owners.values())
        by_organization = Counter(owner.organization for owner in owners.values())
        loser = places.take(one, owner)
        if loser is not None:
            lost = owners.pop(loser)
            assert lost == owner or len(owners) + 1 == most
            assert (
                lost == owner or by_organization[lost.organization] >= by_organization[organization]
            )
        owners[one] = owner
        assert len(places) == len(owners) <= most
        assert before[owner] < max(1, most // 4) or loser is not None


def test_fewer_places_are_given_up_by_who_has_most_of_them() -> None:
    places = FollowedPlaces(40)
    few, many = taken(places, GLOBEX, 2), taken(places, ACME, 10)
    assert places.reconfigure(16) == many[:6]
    assert places.reconfigure(8) == many[6:8]
    assert places.reconfigure(3) == [few[0], many[8]]
    assert len(places) == 2
    assert places.reconfigure(40) == []
