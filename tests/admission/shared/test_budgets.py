"""Budgets that processes share decide as those of one process, whatever becomes of the others."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.limits.gcra import MAX_DEBT, SECOND, Rate
from gateway.admission.limits.memory_budgets import Budget, MemoryBudgets, Use
from gateway.admission.shared.budgets import BUCKET_BYTES, WAYS, SharedBudgets
from gateway.protocols.theeye.routes import RouteKind
from gateway.shared.locks import Locks
from gateway.shared.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = b"s" * 16
RATE = Rate(10.0, 4)
KEY = b"k" * 16
USES = st.lists(
    st.tuples(
        st.integers(0, 3 * SECOND) | st.just(0),
        st.sampled_from(Use),
        st.sampled_from([RouteKind.OTHER, RouteKind.RESULT]),
        st.sampled_from([b"a" * 16, b"b" * 16]),
        st.booleans(),
    ),
    max_size=60,
)


class Free(Locks):
    """Locks that nobody else wants."""

    def __init__(self) -> None:
        self.held: list[int] = []

    def take(self, number: int) -> bool:
        assert number not in self.held
        assert self.held == sorted(self.held)
        self.held.append(number)
        return True

    def give_back(self, number: int) -> None:
        self.held.remove(number)


def shared(buckets: int = 8, memory: memoryview | None = None) -> SharedBudgets:
    memory = memoryview(bytearray(buckets * BUCKET_BYTES)) if memory is None else memory
    return SharedBudgets(memory, SECRET, Free())


def budget(
    key: bytes = KEY,
    *,
    kind: RouteKind = RouteKind.OTHER,
    rate: Rate = RATE,
    is_known: bool = False,
) -> Budget:
    return Budget(kind, key, rate, is_known)


def take(budgets: SharedBudgets, of: Budget, now: int = 0) -> bool:
    return budgets.use((of,), Use.TAKE, now).refused is None


@given(USES)
def test_they_decide_as_those_of_one_process(
    uses: list[tuple[int, Use, RouteKind, bytes, bool]],
) -> None:
    one, several = MemoryBudgets(), shared()
    known: set[bytes] = set()
    now = 0
    for gap, use, kind, key, becomes_known in uses:
        now += gap
        if becomes_known:
            known.add(key)
        own = budget(key, kind=kind, is_known=key in known)
        given = (own,) if key in known else (own, budget(b"address" * 2))
        expected, found = one.use(given, use, now), several.use(given, use, now)
        assert (found.refused, found.level) == (expected.refused, expected.level)
        assert several.level(own, now) == one.level(own, now)


def test_processes_share_what_is_left() -> None:
    memory = memoryview(bytearray(8 * BUCKET_BYTES))
    several = [shared(memory=memory) for _ in range(3)]
    passed = [take(budgets, budget()) for budgets in several * 4]
    assert passed.count(True) == RATE.burst


def test_token_that_one_process_knows_and_another_does_not_has_one_budget() -> None:
    memory = memoryview(bytearray(8 * BUCKET_BYTES))
    first, second = shared(memory=memory), shared(memory=memory)
    assert take(first, budget())
    assert take(second, budget(is_known=True))
    assert take(first, budget())
    assert second.level(budget(is_known=True), 0) == 3 * RATE.interval
    assert take(first, budget())
    assert not take(second, budget(is_known=True))
    assert first.kept() == {}


def test_rates_may_differ_from_one_decision_to_the_next() -> None:
    budgets = shared()
    assert take(budgets, budget(rate=Rate(10.0, 1)))
    assert not take(budgets, budget(rate=Rate(10.0, 1)))
    assert take(budgets, budget(rate=Rate(10.0, 2)))


def test_flood_of_unknown_tokens_pushes_out_no_budget_of_a_known_one() -> None:
    budgets = shared(1)
    for _ in range(RATE.burst):
        assert take(budgets, budget(is_known=True))
    for number in range(5 * WAYS):
        assert take(budgets, budget(b"%016d" % number))
    assert not take(budgets, budget(is_known=True))


def test_full_bucket_forgets_the_budget_that_is_full_first() -> None:
    budgets = shared(1)
    keys = [b"%016d" % number for number in range(WAYS)]
    for count, key in enumerate(keys):
        # Of the first one little was used, of the second more, but long ago.
        for _ in range(min(count + 1, 4)):
            take(budgets, budget(key), count * SECOND // 100)
    now = WAYS * SECOND // 100
    levels = [budgets.level(budget(key), now) for key in keys]
    assert take(budgets, budget(), now)
    after = [budgets.level(budget(key), now) for key in keys]
    assert [key for key, level in zip(keys, after, strict=True) if not level] == [
        keys[levels.index(min(levels))]
    ]


def test_what_is_refused_takes_no_place() -> None:
    budgets = shared(1)
    never = Rate(1.0, 0)
    for key in (b"%016d" % number for number in range(WAYS)):
        assert take(budgets, budget(key))
    for key in (b"%016d" % number for number in range(100, 200)):
        assert not take(budgets, budget(key, rate=never))
    assert budgets.level(budget(b"%016d" % 0), 0) == RATE.interval


def test_debt_is_bounded() -> None:
    budgets = shared()
    for _ in range(2 * MAX_DEBT):
        budgets.use((budget(),), Use.OWE, 0)
    assert budgets.level(budget(), 0) == RATE.most


@given(st.integers(0, BUCKET_BYTES), st.integers(0, 2**32))
def test_process_that_dies_in_the_middle_of_a_change_leaves_nothing_that_refuses(
    written: int, now: int
) -> None:
    """Whatever part of a new budget's bytes has come to be: its own hash, its time, or neither."""
    before = bytearray(BUCKET_BYTES)
    after = memoryview(bytearray(BUCKET_BYTES))
    take(shared(memory=after), budget(), now)
    for cut in (
        before[:written] + bytes(after[written:]),
        bytes(after[:written]) + before[written:],
    ):
        # A number of eight bytes is written in one.
        at = written // 8 * 8
        whole = memoryview(bytearray(cut[:at] + bytes(after[at : at + 8]) + cut[at + 8 :]))
        budgets = shared(memory=whole)
        assert budgets.level(budget(), now) in {0, RATE.interval}
        assert take(budgets, budget(b"another" + bytes(9)), now)


def test_where_no_lock_is_to_be_had_decisions_are_made_without() -> None:
    class Taken(Free):
        def take(self, number: int) -> bool:
            return number < 0

        def give_back(self, number: int) -> None:
            raise AssertionError(number)

    budgets = SharedBudgets(memoryview(bytearray(8 * BUCKET_BYTES)), SECRET, Taken())
    assert [take(budgets, budget()) for _ in range(RATE.burst + 1)] == [True] * RATE.burst + [False]
    both = (budget(b"x" * 16), budget(b"y" * 16))
    assert budgets.use(both, Use.TAKE, 0).refused is None


TAKES = """
import sys, time
from gateway.admission.limits.gcra import Rate
from gateway.admission.limits.memory_budgets import Budget, Use
from gateway.admission.shared.budgets import SharedBudgets
from gateway.protocols.theeye.routes import RouteKind
from gateway.shared.locks import Locks
from gateway.shared.segment import Segment
segment = Segment(int(sys.argv[1]))
budgets = SharedBudgets(segment.budgets, segment.secret, Locks(segment.descriptor, time.monotonic))
budget = Budget(RouteKind.OTHER, b"k" * 16, Rate(0.001, 1000), True)
other = Budget(RouteKind.OTHER, b"o" * 16, Rate(0.001, 3000), True)
print("ready", flush=True)
input()
passed = 0
for turn in range(1000):
    given = (budget, other) if turn % 2 else (budget,)
    passed += budgets.use(given, Use.TAKE, 0).refused is None
print(passed, flush=True)
"""


@contextmanager
def takers(segment: Segment, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-c", TAKES, str(segment.descriptor)]
    processes = [
        subprocess.Popen(
            command,
            pass_fds=[segment.descriptor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_processes_that_take_at_once_get_as_much_as_one_could() -> None:
    segment = Segment.made(1)
    with takers(segment, 3) as processes:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        passed = [int(process.stdout.readline()) for process in processes if process.stdout]
    segment.close()
    assert sum(passed) == 1000
