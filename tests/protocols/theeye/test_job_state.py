"""What state a job is in, by what the three recorded versions of TheEye say of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.theeye.job_state import FINISHED, known_state

WORDS = {
    *("", "success", "failure", "canceled", "timeout", "error", "expired", "terminated"),
    *("in_progress", "unknown"),
}


@pytest.mark.parametrize(
    "text", ["hello", "normal", "ok", "SUCCESS", "success ", "5", "true", "hi", "", "x" * 100_000]
)
def test_finished_job_succeeded_whatever_its_script_says_but_failure(text: str) -> None:
    assert known_state("finished", text, "success", "") == "success"
    assert known_state("completed", text, "", "") == "success"
    assert known_state("finished", text, "an_event_of_the_script", "") == "success"


@pytest.mark.parametrize(
    ("lifecycle", "state", "trigger", "expected"),
    [
        ("finished", "success", "success", "success"),
        ("finished", "failure", "failure", "failure"),
        ("finished", "failure", "success", "failure"),
        ("terminated", "timeout", "timeout", "timeout"),
        ("terminated", "error", "", "error"),
        ("terminated", "success", "success", "failure"),
        ("terminated", "hello", "", "failure"),
        ("expired", "expired", "", "expired"),
        ("canceled", "canceled", "canceled", "canceled"),
        ("terminated", "canceled", "canceled", "canceled"),
        # 4.4.3, and 4.6 where the job had ended well before it was cancelled.
        ("finished", "canceled", "canceled", "canceled"),
        ("finished", "success", "canceled", "success"),
        ("finished", "hello", "canceled", "canceled"),
        ("finished", "hello", "timeout", "timeout"),
        # 4.15 keeps a script's "canceled"; 4.4.3 takes the same text for a success.
        ("finished", "canceled", "", "canceled"),
        ("finished", "canceled", "success", "success"),
        ("finished", "timeout", "success", "success"),
        ("finished", "in_progress", "success", "success"),
    ],
)
def test_state_is_told_in_theeyes_words(
    lifecycle: str, state: str, trigger: str, expected: str
) -> None:
    assert known_state(lifecycle, state, trigger, "") == expected


@pytest.mark.parametrize(
    ("evaluation", "expected"),
    [("", "success"), ("success", "success"), ("failure", "failure"), ("warning", "failure")],
)
def test_own_wording_counts_as_job_or_task_say(evaluation: str, expected: str) -> None:
    assert known_state("finished", "normal", "success", evaluation) == expected
    assert known_state("finished", "success", "success", evaluation) == "success"
    assert known_state("finished", "failure", "failure", evaluation) == "failure"


@pytest.mark.parametrize(
    ("lifecycle", "state", "expected"),
    [
        ("assigned", "in_progress", "in_progress"),
        ("", "unknown", "unknown"),
        ("ready", "a text", ""),
        ("new", "", ""),
    ],
)
def test_job_that_has_not_ended_has_no_text_for_a_state_either(
    lifecycle: str, state: str, expected: str
) -> None:
    assert known_state(lifecycle, state, "", "") == expected


@given(
    st.sampled_from([*sorted(FINISHED), "assigned", ""]) | st.text(),
    st.sampled_from(sorted(WORDS)) | st.text(),
    st.sampled_from(["success", "failure", "canceled", "timeout", ""]) | st.text(),
    st.sampled_from(["success", "failure", ""]) | st.text(),
)
@pytest.mark.no_cover
def test_state_is_always_a_known_word(
    lifecycle: str, state: str, trigger: str, evaluation: str
) -> None:
    assert known_state(lifecycle, state, trigger, evaluation) in WORDS
