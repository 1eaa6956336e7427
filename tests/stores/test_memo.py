"""What is found out once, and how much of it is kept."""

from __future__ import annotations

from gateway.stores.memo import Memo


def test_what_comes_again_is_not_found_out_again() -> None:
    asked: list[str] = []

    def find(thing: str) -> int:
        asked.append(thing)
        return len(thing)

    memo = Memo(find, 8)
    assert [memo.of(thing) for thing in ("a", "bb", "a", "bb")] == [1, 2, 1, 2]
    assert asked == ["a", "bb"]
    assert len(memo) == 2


def test_full_one_forgets_all_and_goes_on() -> None:
    memo: Memo[int, str] = Memo(str, 3)
    for number in range(10):
        assert memo.of(number) == str(number)
        assert len(memo) <= 3
    assert len(memo) == 1
