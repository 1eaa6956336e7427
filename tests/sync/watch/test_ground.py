from gateway.sync.watch.ground import Ground
from gateway.sync.watch.state import PollState, Watch


def test_ground_without_members_is_never_due() -> None:
    ground = Ground(b"acme", lambda _state, _since: None, float("-inf"))
    assert ground.next_due == float("inf")
    assert ground.scout() is None
    assert ground.to_list(0.0, 200) == []
    assert ground.freshen(0.0) == []


def test_watch_that_is_not_left_knows_nothing_of_looks() -> None:
    ground = Ground(b"acme", lambda _state, _since: None, float("-inf"))
    ground.looked(5.0, 6.0)
    assert not ground.catch_up(PollState(Watch("0" * 24, 0.0)))
