from __future__ import annotations

import pytest

from gateway.sync.keys.redis_scripts import PREFIX, claim, record_of, settlement
from gateway.sync.keys.state import ABSENT, KeyName, KeyRecord, KeyState

NAME = KeyName(b"\x01" * 16, b"\x02" * 16)


def test_keys_of_redis_are_hashes_behind_the_prefix() -> None:
    _, _, count, key, *arguments = claim(NAME, b"f", b"s", 60.0)
    assert (count, key) == (1, PREFIX + "02" * 16)
    assert arguments == [b"s", b"f", 3000, 60_000]
    _, _, count, key, index, *arguments = settlement(
        NAME, KeyRecord(KeyState.CREATED, b"f", b"x"), b"s", 60.0, 7
    )
    assert (count, key, index) == (2, PREFIX + "02" * 16, PREFIX + "caller:" + "01" * 16)
    assert arguments == [b"s", b"f", 3000, 60_000, "created", b"x", 7, PREFIX, "02" * 16]


def test_record_is_read_from_a_reply() -> None:
    assert record_of([b"absent", b"", b"", 0]) == ABSENT
    read = record_of([b"created", b"f", b"x", 1500])
    assert read == KeyRecord(KeyState.CREATED, b"f", b"x", 1.5)


@pytest.mark.parametrize("reply", [None, [], [b"created"], [b"odd", b"", b"", 0], 1])
def test_anything_else_is_no_record(reply: object) -> None:
    with pytest.raises(ValueError, match=r"no record|odd"):
        record_of(reply)
