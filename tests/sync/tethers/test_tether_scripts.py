"""How what gateways share of tied jobs is written and read; ``test_redis_tethers`` runs it."""

from __future__ import annotations

import pytest

from gateway.sync.tethers.tether import TetherRecord
from gateway.sync.tethers.tether_scripts import (
    PREFIX,
    Claim,
    Claimed,
    Seen,
    Untied,
    claim,
    claim_of,
    end,
    key_of,
    look,
    opening,
    record_of,
    renewal,
)
from gateway.sync.tethers.wish import Wish
from tests.support.theeye import JOB_ID

OTHER_ID = "0" * 24
LIFE = 3_600_000


def test_keys_are_hashes_behind_the_prefix() -> None:
    assert key_of(JOB_ID).startswith(PREFIX)
    assert JOB_ID not in key_of(JOB_ID)
    assert len({key_of(JOB_ID), key_of(OTHER_ID)}) == 2
    assert end(JOB_ID) == ("DEL", key_of(JOB_ID))
    _, _, count, *rest = renewal([JOB_ID, OTHER_ID])
    assert (count, rest) == (2, [key_of(JOB_ID), key_of(OTHER_ID), LIFE])
    assert claim(JOB_ID, b"me", 20.0)[3:] == (key_of(JOB_ID), LIFE, 20_000, 150_000, b"me")


@pytest.mark.parametrize(
    ("wish", "written"),
    [(Wish(True, False), "t"), (Wish(False, True), "d"), (Wish(True, True), "td")],
)
def test_record_is_read_as_it_was_written(wish: Wish, written: str) -> None:
    record = TetherRecord(b"\x00\xff" * 8, wish)
    *_, creator, said = opening(JOB_ID, record)
    assert (creator, said) == (record.creator, written)
    assert record_of([creator, written.encode()]) == record
    assert record_of([]) is None
    assert look(JOB_ID, record.creator)[-1] == record.creator


@pytest.mark.parametrize("reply", [None, 1, [None, None], [b"creator"], b"gone"])
def test_anything_else_is_no_record(reply: object) -> None:
    with pytest.raises(ValueError, match="no record"):
        record_of(reply)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"claimed", Claimed()),
        (b"gone", Untied()),
        (b"let_go", Untied()),
        (b"1500", Seen(1.5)),
    ],
)
def test_claim_is_read_from_a_reply(reply: object, expected: Claim) -> None:
    assert claim_of(reply) == expected


@pytest.mark.parametrize("reply", [None, 1, [], b"odd"])
def test_anything_else_is_no_claim(reply: object) -> None:
    with pytest.raises(ValueError, match=r"no claim|invalid literal"):
        claim_of(reply)
