from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.watch.batches import NEVER, Batches
from gateway.sync.watch.state import Flight, PollState, Waiter, Watch
from tests.support.theeye import JOB_ID
from tests.support.watched import access


def state(due: float, lender: str = "a", planned_at: float = 0.0) -> PollState:
    """A watch with one waiter, whose next poll is ``due``."""
    watch = Watch(JOB_ID, 0.0)
    watch.waiters[Waiter(access(lender), None, None, watch)] = None  # type: ignore[arg-type]
    return PollState(watch, due=due, planned_at=planned_at)


def test_next_batch_is_the_one_whose_watch_is_due_first() -> None:
    batches = Batches()
    late, early = state(5.0, "a"), state(3.0, "b")
    for one in (late, early):
        batches.put(one)
    first = batches.next()
    assert first is not None
    assert (first.key, first.due) == (early.batch_key, 3.0)
    batches.take_out(early)
    second = batches.next()
    assert second is not None
    assert (second.key, second.due) == (late.batch_key, 5.0)
    batches.take_out(late)
    assert batches.next() is None
    assert (len(batches), batches._queue, late.batch_key) == (0, [], None)


def test_batch_rests_between_two_requests() -> None:
    batches = Batches()
    batches.put(state(1.0))
    batch = batches.next()
    assert batch is not None
    batches.sent(batch, free_at=1.5)
    assert batch.due == 1.5
    sooner = state(0.0)
    batches.put(sooner)
    assert batch.due == 1.5


def test_watch_that_is_being_polled_makes_no_batch_due() -> None:
    batches = Batches()
    one = state(1.0)
    batches.put(one)
    batch = batches.next()
    assert batch is not None
    one.flight = Flight()
    batches.retime(batch)
    assert (batch.first(), batch.due) == (None, NEVER)
    batches.expect(one)
    assert batches.next() is None
    one.flight = None
    batches.expect(one)
    assert batches.next() is batch


def test_list_takes_along_what_is_nearly_due_first_what_is_due_longest() -> None:
    batches = Batches()
    due, nearly, later, alone = state(1.0), state(1.5), state(2.0), state(1.0)
    alone.is_listable = False
    for one in (later, nearly, due, alone):
        batches.put(one)
    batch = batches.next()
    assert batch is not None
    assert batch.joining(1.0, most=10) == [due, nearly]
    assert batch.joining(1.0, most=1) == [due]
    assert batch.joining(1.2, most=10) == [due, nearly, later]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 100), st.sampled_from(["put", "out"])),
        max_size=60,
    )
)
def test_no_batch_is_due_later_than_its_first_watch(
    steps: list[tuple[str, float, str]],
) -> None:
    batches, states = Batches(), list[PollState]()
    for lender, due, step in steps:
        if step == "put" or not states:
            states.append(state(due, lender))
            batches.put(states[-1])
        else:
            batches.take_out(states.pop(0))
        batch = batches.next()
        assert (batch is None) == (not states)
        if batch is not None:
            assert batch.due <= min(one.due for one in states)
            assert {one.batch_key for one in states} == {one.key for one in batches}
