import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.sync.jobs.listing import MAX_JOBS
from gateway.sync.jobs.ranges import Unranged
from gateway.sync.looks.cover import MOVES, SCOUTED, Cover
from gateway.sync.looks.rivals import BARRED_SECONDS
from gateway.sync.looks.scouts import (
    FAILED_SECONDS,
    MAX_FAILURES,
    RENEW_SECONDS,
    REVIEW_SECONDS,
    UNKNOWN_SECONDS,
    WORTHWHILE_LISTS,
    Scouts,
)
from gateway.sync.looks.sight import CALM_SECONDS

KEYS = (b"a", b"b", b"c", b"d")


def job(number: int, second: int = 0) -> str:
    return f"{1_700_000_000 + second:08x}{number:016x}"


def waiting(keys: int, jobs_each: int = 2) -> tuple[Scouts, list[str]]:
    """So many who wait for as many jobs each; the first for one more."""
    scouts, jobs = Scouts(lambda _: None, least_jobs=0), list[str]()
    for number in range(keys * jobs_each + 1):
        jobs.append(job(number))
        scouts.join(jobs[-1], bytes([number % keys]), 0)
    return scouts, jobs


def seen(scouts: Scouts, jobs: list[str]) -> None:
    assert scouts.scout is not None
    scouts.listed(scouts.scout, jobs, set(jobs), 0.01, 0.5)


def covers(scouts: Scouts, jobs: list[str]) -> set[Cover]:
    return {scouts.cover(one) for one in jobs}


def test_few_tokens_need_no_scout() -> None:
    scouts, jobs = waiting(WORTHWHILE_LISTS - 1)
    assert scouts.scout is None
    assert covers(scouts, jobs) == {Cover.OWN}
    assert scouts.review(0) is None


def test_one_token_needs_one_where_its_jobs_fill_several_lists() -> None:
    scouts, jobs = waiting(1, MAX_JOBS * (WORTHWHILE_LISTS - 1))
    assert scouts.lists == WORTHWHILE_LISTS
    assert scouts.scout == b"\0"
    for one in jobs[: MAX_JOBS + 1]:
        scouts.leave(one, 1)
    assert scouts.scout is None


def test_job_is_left_to_the_scout_once_it_was_listed() -> None:
    scouts, jobs = waiting(4)
    assert scouts.scout == b"\0"
    assert covers(scouts, jobs) == {Cover.NEW}
    assert scouts.bounds() is None
    scouts.listed(b"\0", jobs[:6], set(jobs[:4]), 0.01, 0.5)
    assert covers(scouts, jobs[:4]) == {Cover.LEFT}
    assert covers(scouts, jobs[4:6]) == {Cover.OWN}
    assert covers(scouts, jobs[6:]) == {Cover.NEW}
    bounds = scouts.bounds()
    assert bounds is not None
    assert (bounds.oldest, bounds.newest) == (jobs[0], jobs[3])


def test_list_of_another_token_leaves_nothing_to_the_scout() -> None:
    scouts, jobs = waiting(4)
    scouts.listed(b"\1", jobs, set(jobs), 0.01, 0.5)
    assert covers(scouts, jobs) == {Cover.NEW}


def test_nothing_seen_with_a_scout_counts_for_the_next() -> None:
    scouts, jobs = waiting(4)
    seen(scouts, jobs)
    for one in jobs[::4]:
        scouts.leave(one, 1)
    assert scouts.scout not in (None, b"\0")
    rest = [one for number, one in enumerate(jobs) if number % 4]
    assert covers(scouts, rest) == {Cover.NEW}


def test_waiter_who_leaves_a_job_to_another_is_no_scout_any_more() -> None:
    scouts, jobs = waiting(4, 1)
    for one in (jobs[0], jobs[4]):
        scouts.rekey(one, b"\1", 1)
    assert scouts.scout == b"\1"
    scouts.rekey(jobs[0], b"\1", 1)
    assert scouts.key(jobs[0]) == b"\1"
    assert set(scouts.jobs_of(b"\1")) == {jobs[0], jobs[1], jobs[4]}


@pytest.mark.parametrize("reason", [Unranged.DENIED, Unranged.REFUSED])
def test_refused_token_is_no_scout_for_a_while(reason: Unranged) -> None:
    scouts, jobs = waiting(4)
    seen(scouts, jobs)
    appointed = [scouts.scout]
    for _ in range(4):
        scouts.failed(reason, 1)
        appointed.append(scouts.scout)
    assert sorted(one or b"" for one in appointed) == [b"", b"\0", b"\1", b"\2", b"\3"]
    assert covers(scouts, jobs) == {Cover.OWN}
    scouts.failed(reason, 1)
    scouts.reconsider(2 + BARRED_SECONDS)
    assert scouts.scout is not None


@pytest.mark.parametrize(
    ("reason", "times", "seconds"),
    [(Unranged.UNKNOWN, 1, UNKNOWN_SECONDS), (Unranged.FAILING, MAX_FAILURES, FAILED_SECONDS)],
)
def test_all_is_asked_as_without_a_scout_where_looks_cannot_be_had(
    reason: Unranged, times: int, seconds: float
) -> None:
    scouts, jobs = waiting(4)
    seen(scouts, jobs)
    for _ in range(times):
        assert covers(scouts, jobs) == {Cover.LEFT}
        scouts.failed(reason, 10)
    assert covers(scouts, jobs) == {Cover.OWN}
    scouts.reconsider(9 + seconds)
    assert scouts.scout is None
    scouts.reconsider(10 + seconds)
    assert scouts.scout is not None


def test_failure_counts_no_more_after_a_look_that_was_answered() -> None:
    scouts, jobs = waiting(4)
    seen(scouts, jobs)
    bounds = scouts.bounds()
    assert bounds is not None
    for _ in range(5):
        scouts.failed(Unranged.FAILING, 1)
        scouts.looked(bounds, [], 0.01, 1)
    assert scouts.scout is not None


def test_response_that_is_too_long_halves_the_range_until_it_fits() -> None:
    scouts, jobs = waiting(4, 8)
    seen(scouts, jobs)
    left = []
    for _ in range(3):
        scouts.failed(Unranged.TOO_MUCH, 1)
        left.append(sum(scouts.cover(one) is Cover.LEFT for one in jobs))
    assert left == [16, 8, 4]
    bounds = scouts.bounds()
    assert bounds is not None
    assert bounds.newest == jobs[-1]
    for minute in range(1, 6):
        scouts.looked(bounds, [], 0.01, 2 + minute * CALM_SECONDS)
    assert covers(scouts, jobs) == {Cover.LEFT}


def test_many_strangers_make_the_range_narrower_and_few_do_not() -> None:
    scouts, jobs = waiting(4, 25)
    newest = job(2000)
    scouts.join(newest, b"\1", 0)
    seen(scouts, [*jobs, newest])
    bounds = scouts.bounds()
    assert bounds is not None
    scouts.looked(bounds, [job(1000)], 0.01, 1)
    assert covers(scouts, [*jobs, newest]) == {Cover.LEFT}
    scouts.looked(bounds, [job(number) for number in range(1000, 1050)], 0.01, 2)
    assert scouts.cover(newest) is Cover.OUTSIDE
    assert covers(scouts, jobs) == {Cover.LEFT}
    bounds = scouts.bounds()
    assert bounds is not None
    # What was seen outside is not forgotten because it is not looked at any more.
    scouts.looked(bounds, [], 0.01, 3 + CALM_SECONDS)
    assert scouts.cover(newest) is Cover.OUTSIDE


def test_slow_look_leaves_out_what_lies_far_off() -> None:
    scouts, jobs = waiting(4)
    far = job(0, 59)
    scouts.join(far, b"\1", 0)
    seen(scouts, [*jobs, far])
    assert scouts.cover(far) is Cover.LEFT
    bounds = scouts.bounds()
    assert bounds is not None
    scouts.looked(bounds, [], 3.0, 1)
    assert scouts.cover(far) is Cover.OUTSIDE
    for _ in range(2):
        scouts.looked(bounds, [], 30.0, 2)
    assert covers(scouts, jobs) == {Cover.LEFT}
    for minute in range(1, 9):
        scouts.looked(bounds, [], 0.01, 2 + minute * CALM_SECONDS)
    assert scouts.cover(far) is Cover.LEFT


def test_token_that_sees_more_takes_the_scouts_place() -> None:
    scouts, jobs = waiting(4, 10)
    scouts.listed(b"\0", jobs, set(jobs[::4]), 0.01, 0.5)
    other_one = scouts.review(1)
    assert other_one is not None
    assert other_one.key != b"\0"
    assert set(other_one.jobs) == set(jobs)
    assert scouts.review(2) is None
    scouts.compared(other_one, 0.25, 1)
    assert scouts.scout == b"\0"
    other = scouts.review(2 + REVIEW_SECONDS)
    assert other is not None
    assert other.key not in (b"\0", other_one.key)
    scouts.compared(other, 1.0, 2)
    assert scouts.scout == other.key
    assert covers(scouts, jobs) == {Cover.NEW}


def test_no_token_is_compared_where_the_scout_sees_all_or_all_were_tried() -> None:
    scouts, jobs = waiting(3)
    seen(scouts, jobs)
    assert scouts.review(1) is None
    scouts.listed(b"\0", jobs, set(jobs[::3]), 0.01, 0.5)
    other_ones = [scouts.review(1 + number * REVIEW_SECONDS) for number in range(1, 5)]
    assert [other_one and other_one.key for other_one in other_ones[2:]] == [None, None]
    (last,) = other_ones[:1]
    assert last is not None
    for one in jobs:
        if scouts.key(one) == last.key:
            scouts.rekey(one, b"\0", 200)
    scouts.compared(last, 1.0, 200)
    assert scouts.scout != last.key


def test_scout_is_asked_again_for_what_it_did_not_see() -> None:
    scouts, jobs = waiting(4, 10)
    scouts.listed(b"\0", jobs, set(jobs[1:]), 0.01, 0.5)
    assert scouts.cover(jobs[0]) is Cover.OWN
    assert scouts.review(1) is None
    assert scouts.review_at == 1 + REVIEW_SECONDS
    scouts.review(RENEW_SECONDS - 1)
    assert scouts.cover(jobs[0]) is Cover.OWN
    scouts.review(2 * RENEW_SECONDS)
    assert scouts.cover(jobs[0]) is Cover.NEW
    assert scouts.review_at == float("inf")


def test_scout_is_wanted_again_once_what_failed_is_over_though_nobody_comes_or_goes() -> None:
    scouts, jobs = waiting(4)
    scouts.failed(Unranged.UNKNOWN, 5)
    assert scouts.review_at == 5 + UNKNOWN_SECONDS
    scouts.review(4 + UNKNOWN_SECONDS)
    assert scouts.scout is None
    scouts.review(5 + UNKNOWN_SECONDS)
    assert covers(scouts, jobs) == {Cover.NEW}


def test_lists_that_are_answered_do_not_make_good_looks_that_fail() -> None:
    scouts, jobs = waiting(4)
    seen(scouts, jobs)
    for _ in range(MAX_FAILURES):
        assert scouts.scout is not None
        scouts.failed(Unranged.FAILING, 1)
        if scouts.scout is not None:
            seen(scouts, jobs)
    assert scouts.scout is None


class Waits(RuleBasedStateMachine):
    """An organization's waits, with lists and looks that have any answer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.covers: dict[str, Cover] = {}
        self.shown: set[tuple[bytes, str]] = set()
        """What lists with a token had, since it is the scout."""
        self.scouts = Scouts(self.moved, least_jobs=0)
        self.waiters: dict[str, bytes] = {}

    def moved(self, job_id: str) -> None:
        after, before = self.scouts.cover(job_id), self.covers.get(job_id, Cover.OWN)
        assert after in MOVES[before]
        self.covers[job_id] = after
        if after is Cover.NEW:
            self.shown = {(key, one) for key, one in self.shown if one != job_id}

    @rule(number=st.integers(0, 30), second=st.integers(0, 500), key=st.sampled_from(KEYS))
    def join(self, number: int, second: int, key: bytes) -> None:
        one = job(number, second)
        if one in self.waiters:
            self.scouts.rekey(one, key, self.now)
        else:
            self.scouts.join(one, key, self.now)
        self.waiters[one] = key

    @precondition(lambda self: self.waiters)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.waiters)))
        del self.waiters[one]
        self.scouts.leave(one, self.now)
        self.covers.pop(one, None)

    @precondition(lambda self: self.waiters)
    @rule(data=st.data())
    def listed(self, data: st.DataObject) -> None:
        scout = self.scouts.scout
        if scout is not None:
            some = st.lists(st.sampled_from(sorted(self.waiters)), unique=True)
            asked = data.draw(some)
            running = {one for one in asked if data.draw(st.booleans())}
            self.shown |= {(scout, one) for one in running}
            self.scouts.listed(scout, asked, running, data.draw(st.floats(0, 1)), self.now)

    @rule(seconds=st.floats(0, 5), strangers=st.integers(0, 60))
    def looked(self, seconds: float, strangers: int) -> None:
        ids = self.scouts.bounds()
        if ids is not None:
            others = {ids.oldest[:-1] + "f", *(job(n + 100) for n in range(strangers))}
            self.scouts.looked(ids, [one for one in others if one in ids], seconds, self.now)

    @rule(reason=st.sampled_from(Unranged))
    def failed(self, reason: Unranged) -> None:
        self.scouts.failed(reason, self.now)

    @rule(share=st.floats(0, 1))
    def compared(self, share: float) -> None:
        other_one = self.scouts.review(self.now)
        if other_one is not None:
            assert other_one.key in self.waiters.values()
            assert set(other_one.jobs) <= self.waiters.keys()
            self.scouts.compared(other_one, share, self.now)

    @rule(seconds=st.sampled_from([0.1, 40.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.scouts.reconsider(self.now)

    @invariant()
    def scout_is_somebody_who_waits_now(self) -> None:
        assert self.scouts.scout is None or self.scouts.scout in self.waiters.values()

    @invariant()
    def nothing_is_asked_of_a_scout_that_is_not_there(self) -> None:
        if self.scouts.scout is None:
            assert not any(self.scouts.cover(one) in SCOUTED for one in self.waiters)
            assert self.scouts.bounds() is None

    @invariant()
    def only_what_this_scout_was_shown_is_left_to_it_and_lies_in_its_range(self) -> None:
        ids = self.scouts.bounds()
        left = [one for one in self.waiters if self.scouts.cover(one) is Cover.LEFT]
        assert (ids is None) == (not left)
        for one in left:
            assert (self.scouts.scout, one) in self.shown
            assert ids is not None
            assert one in ids

    @invariant()
    def every_job_has_its_cover_and_its_own_key(self) -> None:
        assert len(self.scouts) == len(self.waiters)
        for one, key in self.waiters.items():
            assert self.scouts.key(one) == key
            assert one in self.scouts.jobs_of(key)
        keys = set(self.waiters.values())
        assert self.scouts.lists == len(keys)


TestWaits = Waits.TestCase
TestWaits.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
