"""The states of a client's connection, and every move between them.

       a head came            a task is needed
    IDLE ----------> RELAYING ---------------> ANSWERING    from each: CLOSING
     ^                  | answered       answered |  | before its content came
     +<-----------------+<------------------------+  v
     +<---------------------------------------- LINGERING

One that is not in the table is impossible, and an assertion says so.
"""

from __future__ import annotations

from typing import Final

IDLE: Final = 0
"""Nothing is being answered; the head of a request may have begun to come."""
RELAYING: Final = 1
"""A request waits for the upstream by callbacks: no task, no future."""
ANSWERING: Final = 2
"""A task answers a request."""
LINGERING: Final = 3
"""It was answered before all of its content came: the rest is read and dropped."""
CLOSING: Final = 4
"""Nothing is answered any more; what comes is dropped until the connection is lost."""

STATES: Final = ("IDLE", "RELAYING", "ANSWERING", "LINGERING", "CLOSING")
# With any other type the compiled build would make it anew at each look.
MOVES: Final[tuple[tuple[int, ...], ...]] = (
    (RELAYING, ANSWERING, CLOSING),
    (IDLE, ANSWERING, CLOSING),
    (IDLE, LINGERING, CLOSING),
    (IDLE, CLOSING),
    (),
)
"""By state, which may follow."""
