from gateway.sync.jobs.ranges import IdRange
from gateway.sync.looks.sight import CALM_SECONDS, MAX_STRANGERS, Sight


def job(second: int, number: int = 0) -> str:
    return f"{1_700_000_000 + second:08x}{number:016x}"


def test_range_takes_in_what_lies_near_and_is_as_narrow_as_its_jobs_allow() -> None:
    sight = Sight()
    assert sight.bounds() is None
    assert all(sight.add(job(second)) for second in (100, 50, 150))
    assert sight.bounds() == IdRange(job(50), job(150))
    assert not sight.add(job(1000))
    sight.discard(job(50))
    assert sight.bounds() == IdRange(job(100), job(150))
    assert [is_looked_at for _, is_looked_at in sight] == [True, True, False]
    sight.clear()
    assert [*sight] == []
    assert sight.bounds() is None


def test_range_whose_jobs_have_all_left_begins_anew() -> None:
    sight = Sight()
    sight.add(job(0))
    sight.discard(job(0))
    assert sight.bounds() is None
    assert sight.add(job(10_000))


def test_strangers_that_are_remembered_are_bounded() -> None:
    sight = Sight()
    sight.add(job(0))
    for second in range(3):
        ids = IdRange(job(second), job(second, 1 << 60))
        sight.looked(ids, [job(second, number) for number in range(3000)], 0.01, 0)
    assert len(sight._strangers) == MAX_STRANGERS


def test_slow_look_is_judged_by_what_a_list_takes() -> None:
    sight = Sight()
    sight.add(job(0))
    ids = IdRange(job(0), job(0))
    sight.fit(0)
    for _ in range(20):
        sight.listed(1.0)
    assert not sight.looked(ids, [], 3.0, 1)
    assert sight.looked(ids, [], 5.0, 1)
    assert not sight.looked(ids, [], 0.1, CALM_SECONDS)
    assert sight.looked(ids, [], 0.1, 1 + CALM_SECONDS)
