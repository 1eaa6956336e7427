from typing import Any

import msgspec

from gateway.ops.glances.glance import (
    WAITS,
    CallerRow,
    FailureRow,
    Glance,
    TaskRow,
    WaitRow,
    Waits,
)
from gateway.ops.glances.together import sums, together, waits_together

NOTHING = Glance(0.0, 0.0, "", {}, Waits(0, []), [], [], [])


def seen(**known: Any) -> Glance:
    return msgspec.structs.replace(NOTHING, **known)


def wait(since: float) -> WaitRow:
    return WaitRow("job", "", "", "", "", 0, since, since, "own", None)


def failure(at: float) -> FailureRow:
    return FailureRow(at, "", "relay", "GET", "/", 502, "BadGateway", 0, "", "", "", "")


def test_of_nobody_there_is_nothing() -> None:
    assert together([]) == NOTHING


def test_figures_are_summed_and_the_longest_run_and_any_trouble_are_told() -> None:
    whole = together(
        [
            seen(at=5.0, seconds=9.0, figures={"a": {"x": 1.0, "y": 2.0}}),
            seen(
                at=6.0, seconds=3.0, trouble="upstream silent", figures={"a": {"x": 4.0}, "b": {}}
            ),
        ]
    )
    assert (whole.at, whole.seconds, whole.trouble) == (6.0, 9.0, "upstream silent")
    assert whole.figures == {"a": {"x": 5.0, "y": 2.0}, "b": {}}


def test_sums_change_nothing_of_what_is_summed() -> None:
    one = {"a": {"x": 1.0}}
    assert sums([one, one]) == {"a": {"x": 2.0}}
    assert one == {"a": {"x": 1.0}}


def test_waits_are_counted_exactly_and_the_oldest_and_newest_are_shown() -> None:
    several = [
        Waits(5000, [wait(float(number)) for number in range(start, 2 * WAITS, 2)])
        for start in (0, 1)
    ]
    whole = waits_together(several, WAITS)
    assert whole.count == 10_000
    since = [row.since for row in whole.rows]
    half = WAITS // 2
    assert since == [*range(half), *range(2 * WAITS - half, 2 * WAITS)]
    assert len(waits_together(several, 5).rows) == 5


def test_callers_of_several_processes_are_one_row_each_the_busiest_first() -> None:
    whole = together(
        [
            seen(callers=[CallerRow("aa", "", "acme", 3, 1), CallerRow("", "::1", "", 5, 0)]),
            seen(callers=[CallerRow("aa", "", "acme", 4, 0)]),
        ]
    )
    assert whole.callers == [CallerRow("aa", "", "acme", 7, 1), CallerRow("", "::1", "", 5, 0)]


def test_task_is_told_as_the_process_has_it_that_has_seen_most_of_it() -> None:
    few, many = (TaskRow("acme", "t", runs, 1.0, 1.0, None, None) for runs in (2, 9))
    assert together([seen(tasks=[few]), seen(tasks=[many])]).tasks == [many]
    assert together([seen(tasks=[many]), seen(tasks=[few])]).tasks == [many]


def test_failures_are_the_last_ones_of_all() -> None:
    one, other = ([failure(float(at)) for at in range(start, 100, 2)] for start in (0, 1))
    whole = together([seen(failures=one), seen(failures=other)])
    assert [row.at for row in whole.failures] == [*range(99, 49, -1)]
