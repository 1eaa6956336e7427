from __future__ import annotations

from gateway.ops.access.sessions import MOST_SESSIONS, SESSION_SECONDS, OperatorSessions


def test_session_is_open_for_some_hours() -> None:
    now = 5.0
    sessions = OperatorSessions(lambda: now)
    first, second = sessions.begin(), sessions.begin()
    assert first != second
    now += SESSION_SECONDS - 1
    third = sessions.begin()
    assert all(map(sessions.is_open, (first, second, third)))
    now += 1
    assert [sessions.is_open(each) for each in (first, second, third)] == [False, False, True]


def test_session_that_was_ended_is_not_open() -> None:
    sessions = OperatorSessions(lambda: 0.0)
    first, second = sessions.begin(), sessions.begin()
    sessions.end(first)
    sessions.end("another")
    assert [sessions.is_open(each) for each in (first, second)] == [False, True]
    sessions.end_all()
    assert not sessions.is_open(second)


def test_made_up_ids_are_no_sessions() -> None:
    sessions = OperatorSessions(lambda: 0.0)
    sessions.begin()
    for made_up in ("", "x", "\udcff", "0" * 43):
        assert not sessions.is_open(made_up)


def test_sessions_are_bounded_and_the_longest_unused_one_makes_room() -> None:
    sessions = OperatorSessions(lambda: 0.0)
    first, second = sessions.begin(), sessions.begin()
    assert sessions.is_open(first)
    for _ in range(MOST_SESSIONS - 1):
        sessions.begin()
    assert [sessions.is_open(each) for each in (first, second)] == [True, False]
