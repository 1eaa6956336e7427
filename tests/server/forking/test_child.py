"""Whether this system lets a process be the parent of what others fork; test_fork_server.py has the
children."""

from __future__ import annotations

from ctypes import CDLL
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gateway.server.forking.child import adopting_orphans

if TYPE_CHECKING:
    from collections.abc import Callable


def without_prctl(_name: None) -> object:
    return SimpleNamespace()


def without_library(_name: None) -> CDLL:
    return CDLL("/missing")


def refusing(_name: None) -> object:
    return SimpleNamespace(prctl=lambda *_: -1)


@pytest.mark.parametrize("load", [without_prctl, without_library, refusing])
def test_system_may_not_let_orphans_be_adopted(load: Callable[[None], Any]) -> None:
    with adopting_orphans(load) as can_adopt:
        assert not can_adopt
