from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.watch.batches import NEVER, Groups
from gateway.sync.watch.state import Flight, Waiter, Watch
from tests.support.theeye import JOB_ID
from tests.support.watched import access


def watch(due: float, asker: str = "a", planned_at: float = 0.0) -> Watch:
    made = Watch(JOB_ID, 0.0, due=due, planned_at=planned_at)
    one = access(asker)
    made.waiters[Waiter(one, one.batch_key, None, None, made)] = None  # type: ignore[arg-type]
    return made


def test_turn_is_the_groups_whose_watch_is_due_first() -> None:
    groups = Groups()
    late, early = watch(5.0, "a"), watch(3.0, "b")
    for one in (late, early):
        groups.put(one)
    first = groups.next()
    assert first is not None
    assert (first.key, first.when) == (early.group, 3.0)
    groups.take_out(early)
    second = groups.next()
    assert second is not None
    assert (second.key, second.when) == (late.group, 5.0)
    groups.take_out(late)
    assert groups.next() is None
    assert (len(groups), groups._queue, late.group) == (0, [], None)


def test_group_waits_between_two_turns() -> None:
    groups = Groups()
    groups.put(watch(1.0))
    group = groups.next()
    assert group is not None
    groups.had_turn(group, free_at=1.5)
    assert group.when == 1.5
    sooner = watch(0.0)
    groups.put(sooner)
    assert group.when == 1.5


def test_watch_that_is_looked_at_has_no_turn() -> None:
    groups = Groups()
    one = watch(1.0)
    groups.put(one)
    group = groups.next()
    assert group is not None
    one.flight = Flight()
    groups.retime(group)
    assert (group.first(), group.when) == (None, NEVER)
    groups.expect(one)
    assert groups.next() is None
    one.flight = None
    groups.expect(one)
    assert groups.next() is group


def test_list_takes_along_what_is_nearly_due_first_what_is_due_longest() -> None:
    groups = Groups()
    due, nearly, later, alone = watch(1.0), watch(1.5), watch(2.0), watch(1.0)
    alone.is_listable = False
    for one in (later, nearly, due, alone):
        groups.put(one)
    group = groups.next()
    assert group is not None
    assert group.joining(1.0, most=10) == [due, nearly]
    assert group.joining(1.0, most=1) == [due]
    assert group.joining(1.2, most=10) == [due, nearly, later]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 100), st.sampled_from(["put", "out"])),
        max_size=60,
    )
)
def test_next_turn_is_never_later_than_the_first_due(steps: list[tuple[str, float, str]]) -> None:
    groups, watches = Groups(), list[Watch]()
    for asker, due, step in steps:
        if step == "put" or not watches:
            watches.append(watch(due, asker))
            groups.put(watches[-1])
        else:
            groups.take_out(watches.pop(0))
        group = groups.next()
        assert (group is None) == (not watches)
        if group is not None:
            assert group.when <= min(one.due for one in watches)
            assert {one.group for one in watches} == {one.key for one in groups}
