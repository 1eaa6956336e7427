"""Memory that processes share: what each of them sees, and what is left of it."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from gateway.shared.segment import ABSENT, BUDGET_BYTES, Segment


def test_what_one_writes_all_others_read() -> None:
    with ExitStack() as stack:
        made = Segment.made(2)
        stack.callback(made.close)
        other = Segment(os.dup(made.descriptor))
        stack.callback(other.close)
        other.cells[3] = 7
        other.budgets[BUDGET_BYTES - 1] = 255
        assert made.cells[3] == 7
        assert made.budgets[-1] == 255
        assert made.secret == other.secret


def test_all_cells_are_nobodys_at_first_and_after_their_worker() -> None:
    made = Segment.made(3)
    assert list(made.cells) == [ABSENT, 0] * 3
    made.cells[2], made.cells[3] = 5, 9
    made.clear(2)
    assert list(made.cells) == [ABSENT, 0, ABSENT, 9, ABSENT, 0]
    made.close()


def test_secrets_differ() -> None:
    first, second = Segment.made(1), Segment.made(256)
    assert first.secret != second.secret
    assert len(second.cells) == 512
    first.close()
    second.close()


def test_it_has_no_name_and_ends_with_its_descriptor() -> None:
    made = Segment.made(1)
    assert os.fstat(made.descriptor).st_nlink == 0
    made.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(made.descriptor)


def test_where_there_is_no_room_nothing_stays_open() -> None:
    opened = []

    def unwritable() -> int:
        opened.append(os.open(os.devnull, os.O_RDONLY))
        return opened[0]

    with pytest.raises(OSError, match="Invalid argument"):
        Segment.made(1, unwritable)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
