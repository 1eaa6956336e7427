"""The states of an exchange with the upstream, and every move between them.

               CALL           COMPLETE
      ┌─────────────▶ CALLING ──────────────────┐
      │                  │ PAUSE                ▼
    UNSENT ──SEND──▶ AWAITED ──RESPOND──▶ READING ──RELEASE──▶ OVER
      ▲                  │
      └──────RETRY───────┤
                         ├──FAIL───▶ FAILED ◀─┐          FAIL and LEAVE also from UNSENT,
                         └──LEAVE──▶ LEFT ────┘ TIME_OUT LEAVE from CALLING

Each event is the table of its moves: the state before, and the one after. One that is not in the
table is impossible, and an assertion says so. As h11 has it in ``_state.py``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class UpstreamExchangeState(StrEnum):
    """Progress of an exchange. In ``OVER``, ``FAILED`` and ``LEFT`` it has no connection."""

    UNSENT = "unsent"
    """No connection has it; it may have been sent in vain on one that was being closed."""
    CALLING = "calling"
    """It was sent, and whatever arrives calls back."""
    AWAITED = "awaited"
    """It was sent, and a block waits, or will wait, for the head of the response."""
    READING = "reading"
    """There is a head, and a block reads the content."""
    OVER = "over"
    """There was a response, read to its end or not."""
    FAILED = "failed"
    """There is no response, by the upstream's doing, the client's or a time limit's."""
    LEFT = "left"
    """Its user went away before there was a response."""


Moves = dict[UpstreamExchangeState, UpstreamExchangeState]

UNSENT: Final = UpstreamExchangeState.UNSENT
CALLING: Final = UpstreamExchangeState.CALLING
AWAITED: Final = UpstreamExchangeState.AWAITED
READING: Final = UpstreamExchangeState.READING
OVER: Final = UpstreamExchangeState.OVER
FAILED: Final = UpstreamExchangeState.FAILED
LEFT: Final = UpstreamExchangeState.LEFT

CALL: Final[Moves] = {UNSENT: CALLING}
"""The request is sent on a kept connection; arrivals are told."""
PAUSE: Final[Moves] = {CALLING: AWAITED, OVER: OVER}
"""Arrivals are not told any more."""
SEND: Final[Moves] = {UNSENT: AWAITED}
"""The request is sent by a block."""
RETRY: Final[Moves] = {AWAITED: UNSENT}
"""The connection was being closed when the request was sent."""
RESPOND: Final[Moves] = {AWAITED: READING}
"""The head of the response has arrived."""
COMPLETE: Final[Moves] = {CALLING: OVER}
"""All of the response has arrived and was taken in one."""
RELEASE: Final[Moves] = {READING: OVER}
"""The block ends."""
FAIL: Final[Moves] = {UNSENT: FAILED, AWAITED: FAILED}
"""There will be no response."""
LEAVE: Final[Moves] = {UNSENT: LEFT, CALLING: LEFT, AWAITED: LEFT, OVER: OVER, LEFT: LEFT}
"""Its user goes away."""
TIME_OUT: Final[Moves] = {LEFT: FAILED, OVER: OVER}
"""Its user went away because a time limit had passed."""

MOVES: Final[dict[str, Moves]] = {
    "CALL": CALL,
    "PAUSE": PAUSE,
    "SEND": SEND,
    "RETRY": RETRY,
    "RESPOND": RESPOND,
    "COMPLETE": COMPLETE,
    "RELEASE": RELEASE,
    "FAIL": FAIL,
    "LEAVE": LEAVE,
    "TIME_OUT": TIME_OUT,
}
