"""States of a tether, and who holds it."""

from __future__ import annotations

import itertools

import pytest

from gateway.admission.identity.identities import ANONYMOUS, Identity
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.tethers.tether import (
    FOLLOWERS,
    Presence,
    Tether,
    TetherRecord,
    TetherState,
    creator_hash,
    holder_of,
)
from gateway.sync.tethers.wish import Wish
from tests.support.tethered import waiting
from tests.support.theeye import JOB_ID

RECORD = TetherRecord(creator_hash(b"t", JOB_ID), Wish(on_timeout=True, on_disconnect=True))


def presence(by: str = "t", *, sees: bool = True, record: TetherRecord | None = RECORD) -> Presence:
    access = JobAccess(JOB_ID, "acme", Credentials("", ()))
    return Presence(JOB_ID, waiting(JOB_ID, by, sees=sees), access, by.encode(), record)


@pytest.mark.parametrize(
    ("before", "after"), list(itertools.product(TetherState, TetherState)), ids=str
)
def test_only_moves_of_the_table_are_made(before: TetherState, after: TetherState) -> None:
    tether = Tether(JOB_ID, RECORD, state=before)
    if after in FOLLOWERS[before] or after is before:
        tether.move(after)
        assert tether.state is after
        assert tether.is_over is (after is TetherState.OVER)
    else:
        with pytest.raises(AssertionError):
            tether.move(after)


def test_creator_is_known_by_a_hash_that_is_of_this_job_alone() -> None:
    assert presence().is_creators
    assert not presence("other").is_creators
    assert not presence(record=None).is_creators
    assert creator_hash(b"t", JOB_ID) != creator_hash(b"t", "0" * 24)
    assert b"t" not in (creator_hash(None, JOB_ID), creator_hash(b"t", JOB_ID)[:1])
    assert len(creator_hash(b"t", JOB_ID)) == 16


def test_nobody_without_a_token_is_a_creator() -> None:
    assert creator_hash(None, JOB_ID) == b""
    anonymous = presence()
    anonymous.holder = None
    assert not anonymous.is_creators


def test_tether_is_held_by_its_creator_and_by_whoever_was_shown_the_job() -> None:
    tether = Tether(JOB_ID, RECORD)
    assert not tether.is_held
    stranger = presence("other", sees=False)
    tether.present[stranger] = None
    assert not tether.is_held
    stranger.exchange.job_state = "in_progress"
    assert tether.is_held
    tether.present = {presence(sees=False): None}
    assert tether.is_held


def test_holder_is_the_user_where_that_is_verified_else_the_token() -> None:
    user = Identity(b"user", "acme", "", "", b"token", is_verified=True)
    assert holder_of(user) == b"user"
    assert holder_of(Identity(b"user", "acme", "", "", b"token", is_verified=False)) == b"token"
    assert holder_of(ANONYMOUS) is None
