from __future__ import annotations

import pytest

from gateway.sync.push.trust import (
    DISTRUST_SECONDS,
    HINT_SECONDS,
    MAX_JOBS,
    Reliance,
)
from tests.support.theeye import JOB_ID

LATE_SECONDS = 1.0


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def reliance(time: Time) -> Reliance:
    """Of a subscription that has just begun."""
    found = Reliance(time, LATE_SECONDS)
    found.begin()
    return found


def ended(reliance: Reliance, time: Time, job_id: str = JOB_ID) -> None:
    """A job that was seen running now is seen to have ended right after."""
    reliance.ended(job_id, time.now)


def missed(reliance: Reliance, time: Time) -> None:
    """A job ends without a message, and that is noticed."""
    ended(reliance, time, "0" * 24)
    time.passes(LATE_SECONDS)
    assert not reliance.review()


def test_messages_are_relied_on_while_they_come(time: Time) -> None:
    reliance = Reliance(time, LATE_SECONDS)
    assert not reliance.review()
    reliance.begin()
    assert reliance.review()
    reliance.stop()
    assert not reliance.review()


@pytest.mark.parametrize("seconds", [0, 1, HINT_SECONDS - LATE_SECONDS - 0.1])
def test_message_ahead_of_the_end_being_seen_keeps_the_reliance(
    reliance: Reliance, time: Time, seconds: float
) -> None:
    reliance.hinted(JOB_ID)
    time.passes(seconds)
    ended(reliance, time)
    time.passes(LATE_SECONDS)
    assert reliance.review()
    assert reliance.missing == 0


def test_message_a_little_behind_keeps_the_reliance(reliance: Reliance, time: Time) -> None:
    ended(reliance, time)
    time.passes(LATE_SECONDS / 2)
    assert reliance.review()
    reliance.hinted(JOB_ID)
    time.passes(LATE_SECONDS)
    assert reliance.review()
    assert reliance.missing == 0


def test_job_that_ends_without_a_message_ends_the_reliance_after_a_moment(
    reliance: Reliance, time: Time
) -> None:
    reliance.hinted("f" * 24)
    ended(reliance, time)
    time.passes(LATE_SECONDS / 2)
    assert reliance.review()
    time.passes(LATE_SECONDS / 2)
    assert not reliance.review()
    assert reliance.missing == 1


def test_message_that_comes_late_is_as_good_as_none(reliance: Reliance, time: Time) -> None:
    ended(reliance, time)
    time.passes(LATE_SECONDS)
    assert not reliance.review()
    reliance.hinted(JOB_ID)
    assert not reliance.review()


def test_reliance_comes_back_with_messages_and_not_before_its_time(
    reliance: Reliance, time: Time
) -> None:
    missed(reliance, time)
    for seconds, is_given in ((DISTRUST_SECONDS / 2, False), (DISTRUST_SECONDS, True)):
        time.passes(seconds)
        assert not reliance.review(), "no message, no proof"
        reliance.hinted(JOB_ID)
        ended(reliance, time)
        time.passes(LATE_SECONDS)
        assert reliance.review() is is_given


def test_another_subscription_is_trusted_no_more_than_the_last(
    reliance: Reliance, time: Time
) -> None:
    missed(reliance, time)
    reliance.stop()
    reliance.begin()
    assert not reliance.review()


def test_message_that_is_lost_right_after_subscribing_is_missing(time: Time) -> None:
    reliance = Reliance(time, LATE_SECONDS)
    for _ in range(2):
        reliance.begin()
        time.passes(0.1)
        reliance.ended(JOB_ID, time.now)
        time.passes(LATE_SECONDS)
        assert not reliance.review()
        reliance.stop()
    assert reliance.missing == 2


@pytest.mark.parametrize("seconds", [0.1, 14, 16, 3600])
def test_job_that_may_have_ended_before_subscribing_says_nothing(
    time: Time, seconds: float
) -> None:
    reliance = Reliance(time, LATE_SECONDS)
    unended_at = time.now
    time.passes(0.1)
    reliance.begin()
    time.passes(seconds)
    reliance.ended(JOB_ID, unended_at)
    time.passes(LATE_SECONDS)
    assert reliance.review()
    assert reliance.missing == 0


def test_jobs_that_ended_while_nobody_listened_say_nothing_about_messages(
    reliance: Reliance, time: Time
) -> None:
    ended(reliance, time)
    reliance.stop()
    ended(reliance, time, "f" * 24)
    time.passes(LATE_SECONDS)
    reliance.begin()
    time.passes(LATE_SECONDS)
    assert reliance.review()
    assert reliance.missing == 0


def test_what_is_remembered_is_bounded(reliance: Reliance, time: Time) -> None:
    for number in range(MAX_JOBS + 100):
        reliance.hinted(f"{number:024x}")
        ended(reliance, time, f"{number:024x}")
    assert len(reliance._hinted) == len(reliance._ended) == MAX_JOBS


def test_message_is_known_of_for_a_while(reliance: Reliance, time: Time) -> None:
    assert not reliance.was_hinted(JOB_ID)
    reliance.hinted(JOB_ID)
    assert reliance.was_hinted(JOB_ID)
    time.passes(HINT_SECONDS)
    assert not reliance.was_hinted(JOB_ID)
