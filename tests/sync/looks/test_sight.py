from gateway.sync.jobs.ranges import IdRange
from gateway.sync.looks.sight import CALM_SECONDS, LEAST_JOBS, MAX_STRANGERS, Sight


def job(second: int, number: int = 0) -> str:
    return f"{1_700_000_000 + second:08x}{number:016x}"


def test_range_takes_in_what_lies_near_and_is_as_narrow_as_its_jobs_allow() -> None:
    sight = Sight(0)
    assert sight.bounds() is None
    assert not sight.add(job(100))
    sight.fit(0)
    assert all(sight.add(job(second)) for second in (50, 150))
    assert sight.bounds() == IdRange(job(50), job(150))
    assert not sight.add(job(1000))
    sight.discard(job(50))
    assert sight.bounds() == IdRange(job(100), job(150))
    assert [is_looked_at for _, is_looked_at in sight] == [True, True, False]
    sight.clear()
    assert [*sight] == []
    assert sight.bounds() is None


def test_range_whose_jobs_have_all_left_begins_anew() -> None:
    sight = Sight(0)
    sight.add(job(0))
    sight.fit(0)
    sight.discard(job(0))
    assert sight.bounds() is None
    assert not sight.add(job(10_000))
    sight.fit(1)
    assert sight.bounds() == IdRange(job(10_000), job(10_000))


def test_range_must_serve_more_than_a_list_and_is_given_up_once_it_serves_less_than_half() -> None:
    sight = Sight()
    for number in range(LEAST_JOBS):
        sight.add(job(0, number))
    sight.fit(0)
    assert sight.bounds() is None
    for number in range(LEAST_JOBS, LEAST_JOBS + 2):
        sight.add(job(0, number))
    sight.fit(0)
    ids = sight.bounds()
    assert ids == IdRange(job(0), job(0, LEAST_JOBS + 1))
    while len([*sight]) > LEAST_JOBS // 2:
        assert not sight.looked(ids, [], 0.01, 1)
        sight.discard(next(one for one, _ in sight))
    assert sight.looked(ids, [], 0.01, 1)
    assert sight.bounds() is None


def test_range_that_is_slow_for_jobs_close_together_is_halved_until_it_is_not() -> None:
    sight = Sight(0)
    jobs = [job(number // 16, number) for number in range(64)]
    for one in jobs:
        sight.add(one)
    sight.fit(0)
    left = []
    for _ in range(8):
        ids = sight.bounds()
        assert ids is not None
        assert ids.newest == jobs[-1]
        left.append(sum(one in ids for one in jobs))
        sight.looked(ids, [], 3.0, 1)
    assert left[0] == 64
    assert left[-3:] == [16, 8, 4]


def test_range_has_nothing_that_is_hours_away_from_most() -> None:
    sight = Sight(0)
    hours = [job(3000 * number) for number in range(30)]
    for one in hours:
        sight.add(one)
    for minute in range(10):
        sight.widen(minute * CALM_SECONDS)
    ids = sight.bounds()
    assert ids == IdRange(hours[15 - 7], hours[15 + 7])
    assert not sight.add(job(3000 * 31))


def test_strangers_that_are_remembered_are_bounded() -> None:
    sight = Sight(0)
    sight.add(job(0))
    for second in range(3):
        ids = IdRange(job(second), job(second, 1 << 60))
        sight.looked(ids, [job(second, number) for number in range(3000)], 0.01, 0)
    assert len(sight._strangers) == MAX_STRANGERS


def test_slow_look_is_judged_by_what_a_list_takes() -> None:
    sight = Sight(0)
    sight.add(job(0))
    ids = IdRange(job(0), job(0))
    sight.fit(0)
    for _ in range(20):
        sight.listed(1.0)
    assert not sight.looked(ids, [], 3.0, 1)
    assert sight.looked(ids, [], 5.0, 1)
    assert not sight.looked(ids, [], 0.1, CALM_SECONDS)
    assert sight.looked(ids, [], 0.1, 1 + CALM_SECONDS)
