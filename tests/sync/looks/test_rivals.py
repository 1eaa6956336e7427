from gateway.sync.looks.rivals import BARRED_SECONDS, Rivals

WAITING = {b"a": ["1", "2", "3"], b"b": ["4", "5"], b"c": ["6"]}


def test_first_choice_is_the_key_under_which_most_is_waited_for() -> None:
    rivals = Rivals(WAITING)
    assert rivals.first_choice(0) == b"a"
    rivals.bar(b"a", 0)
    assert rivals.first_choice(BARRED_SECONDS - 1) == b"b"
    assert rivals.first_choice(BARRED_SECONDS) == b"a"
    for key in WAITING:
        rivals.bar(key, BARRED_SECONDS)
    assert rivals.first_choice(BARRED_SECONDS + 1) is None


def test_rivals_are_those_with_unseen_jobs_and_then_the_others_once_in_a_while_each() -> None:
    rivals = Rivals(WAITING)
    assert rivals.next(b"a", {b"c"}, 0) == b"c"
    assert rivals.next(b"a", {b"c"}, 1) == b"b"
    assert rivals.next(b"a", {b"c"}, 2) is None
    assert rivals.next(b"a", {b"c"}, BARRED_SECONDS) == b"c"


def test_token_that_was_refused_is_no_rival() -> None:
    rivals = Rivals(WAITING)
    rivals.bar(b"b", 0)
    assert rivals.next(b"a", [], 1) == b"c"
    assert rivals.next(b"a", [], 2) is None
