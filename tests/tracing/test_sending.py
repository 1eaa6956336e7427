"""How a failure is called in a span. The rest: test_tracer.py and test_waits.py."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import BadGateway
from gateway.tracing.sending import error_of


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (None, ""),
        (BadGateway("said to clients"), BadGateway.code),
        (asyncio.CancelledError(), "CancelledError"),
        (ValueError("t0ken"), "ValueError"),
    ],
)
def test_failure_is_told_in_a_word_without_its_message(
    failure: BaseException | None, word: str
) -> None:
    assert error_of(failure) == word
