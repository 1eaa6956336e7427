"""The state of a job, in the words that TheEye defines. Pure.

TheEye 4.6 and later turn what a script says into ``success`` or ``failure``. 4.4.3 stores what it
says: a ``state`` of any wording, and the whole last line, of any length, of a script that prints
plain text. It takes such a job for a success itself: ``trigger_name`` tells.
"""

from __future__ import annotations

FINISHED = frozenset({"finished", "terminated", "canceled", "expired", "completed"})
"""Lifecycles after which nothing changes. A job without one (old workflows) is not finished."""

SUCCESS, FAILURE = "success", "failure"
_CUT_SHORT = frozenset({"canceled", "timeout"})
"""Of a job that somebody, or its time limit, ended; as a state or as a ``trigger_name``."""
_UNSUCCESSFUL = frozenset({FAILURE, "error", "expired", "terminated"}) | _CUT_SHORT
_UNFINISHED = frozenset({"in_progress", "unknown", SUCCESS}) | _UNSUCCESSFUL
_MAY_SUCCEED = frozenset({"finished", "completed"})


def known_state(lifecycle: str, state: str, trigger_name: str, evaluation: str) -> str:
    """The state in a known word, ``success`` of none but a job that succeeded.

    ``evaluation`` is what the job, or else its task, names as ``default_state_evaluation``: what
    a state of the script's own wording counts as. Empty are those that the job has not; so is the
    result for a job that has not ended and is in no known state.
    """
    if lifecycle not in FINISHED:
        return state if state in _UNFINISHED else ""
    if _is_success(lifecycle, state, trigger_name, evaluation):
        return SUCCESS
    if state in _UNSUCCESSFUL:
        return state
    return trigger_name if trigger_name in _CUT_SHORT else FAILURE


def _is_success(lifecycle: str, state: str, trigger_name: str, evaluation: str) -> bool:
    if lifecycle not in _MAY_SUCCEED or state == FAILURE:
        return False
    if state == SUCCESS:
        return True
    # A script may print "timeout"; of a job that was cut short the trigger says the same.
    if trigger_name in _CUT_SHORT or (state in _CUT_SHORT and trigger_name != SUCCESS):
        return False
    return (evaluation or SUCCESS) == SUCCESS
