from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from gateway.server.runtime import (
    KEPT_BYTES,
    MAPPED_BYTES,
    SWITCH_SECONDS,
    share_the_interpreter,
    spare_the_allocator,
)


def test_a_libc_that_cannot_be_told_how_to_allocate_is_left_alone() -> None:
    told: list[tuple[int, int]] = []
    libc = SimpleNamespace(mallopt=lambda what, value: told.append((what, value)))
    spare_the_allocator(lambda _: libc)
    assert told == [(-1, KEPT_BYTES), (-3, MAPPED_BYTES)]
    spare_the_allocator(lambda _: SimpleNamespace())
    assert len(told) == 2


def test_a_thread_that_computes_gives_the_interpreter_away_soon() -> None:
    before = sys.getswitchinterval()
    try:
        share_the_interpreter()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    finally:
        sys.setswitchinterval(before)
