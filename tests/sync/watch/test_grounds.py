from gateway.config import SyncConfig
from gateway.sync.jobs.access import JobAccess
from gateway.sync.looks.scouts import WORTHWHILE_LISTS
from gateway.sync.watch.batches import NEVER
from gateway.sync.watch.grounds import Grounds
from gateway.sync.watch.state import PollState, Waiter, Watch
from tests.support.watched import access, job_ids


def grounds(**settings: bool) -> Grounds:
    return Grounds(lambda _state, _since: None, lambda: 0.0, SyncConfig(**settings))  # type: ignore[arg-type]


def state(one: JobAccess, *, is_private: bool = False) -> PollState:
    watch = Watch(one.job_id, 0.0, is_private=is_private)
    watch.waiters[Waiter(one, None, None, watch)] = None  # type: ignore[arg-type]
    return PollState(watch, due=3.0)


def test_watches_of_enough_tokens_are_one_batch() -> None:
    batches = grounds()
    states = [state(access(str(n), one)) for n, one in enumerate(job_ids(WORTHWHILE_LISTS))]
    for number, one in enumerate(states):
        batches.put(one)
        assert len(batches) == (1 if number == WORTHWHILE_LISTS - 1 else number + 1)
    assert {one.batch_key for one in states} == {states[0].ground_key}
    batch = batches.next()
    assert batch is not None
    assert batch.due == 2.0  # three lists of one each are one, so it may come sooner
    for one in states:
        batches.take_out(one)
    assert batches.next() is None
    assert [*batches.grounds] == []
    assert not batches.rebatch(states[0])


def test_private_watch_and_access_by_secret_are_polled_by_themselves() -> None:
    batches = grounds()
    jobs = job_ids(WORTHWHILE_LISTS)
    for number, one in enumerate(jobs):
        batches.put(state(access(str(number), one), is_private=True))
        secret = JobAccess(one, "", access("").credentials, secret=str(number))
        batches.put(state(secret))
    assert len(batches) == 2 * WORTHWHILE_LISTS
    assert [*batches.grounds] == []


def test_watch_that_is_private_no_more_joins_the_others() -> None:
    batches = grounds()
    one = state(access(), is_private=True)
    batches.put(one)
    own = one.batch_key
    one.watch.is_private = False
    assert not batches.rebatch(one)
    assert one.batch_key == own
    assert len([*batches.grounds]) == 1
    batches.clear()
    assert one.batch_key is None


def test_lent_watch_is_due_in_the_batch_of_its_own_token_and_comes_back() -> None:
    batches = grounds()
    states = [state(access(str(n), one)) for n, one in enumerate(job_ids(WORTHWHILE_LISTS))]
    for one in states:
        batches.put(one)
    batches.lend(states[0], 1.0)
    batch = batches.next()
    assert batch is not None
    assert (batch.key, batch.due) == (states[0].watch.first.access.batch_key, 1.0)
    assert batches.rebatch(states[0])
    assert states[0].batch_key == states[0].ground_key
    assert states[0].list_at < NEVER


def test_watch_whose_first_waiter_is_of_another_organization_moves() -> None:
    batches = grounds()
    one = state(access())
    batches.put(one)
    before = one.ground_key
    watch = one.watch
    watch.waiters = {Waiter(access("b", customer="globex"), None, None, watch): None}  # type: ignore[arg-type]
    assert batches.rebatch(one)
    assert one.ground_key != before
    assert len([*batches.grounds]) == 1
