from __future__ import annotations

from gateway.upstream.signs import Signs, Trouble


def test_signs_keep_the_first_failure_since_the_last_answer() -> None:
    signs = Signs()
    signs.failed(1.0, Trouble.UNREACHABLE)
    signs.failed(2.0, Trouble.SILENT)
    assert (signs.answered_at, signs.failing_since, signs.failure) == (None, 1.0, Trouble.SILENT)
    signs.answered(3.0, is_refusal=False)
    assert (signs.answered_at, signs.failing_since) == (3.0, None)


def test_signs_count_refusals_until_something_else_is_answered() -> None:
    signs = Signs()
    for now in (1.0, 2.0, 3.0):
        signs.answered(now, is_refusal=True)
    assert (signs.refusals, signs.refusing_since) == (3, 1.0)
    signs.answered(4.0, is_refusal=False)
    signs.answered(5.0, is_refusal=True)
    assert (signs.refusals, signs.refusing_since) == (1, 5.0)


def test_probe_that_is_answered_says_nothing_of_what_clients_get() -> None:
    signs = Signs()
    signs.answered(1.0, is_refusal=True)
    signs.failed(2.0, Trouble.SILENT)
    signs.reached(3.0)
    assert (signs.refusals, signs.answered_at, signs.failing_since) == (1, 3.0, None)
