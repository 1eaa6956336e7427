"""The states of the responses on one connection, and every move between them.

          ┌──────────────REQUEST──────────────┐
          ▼                                   │
    IDLE ─REQUEST─▶ AWAITED ─HEAD─▶ CONTENT ─COMPLETE─▶ WHOLE
                     │    │            │ │                │ SURPLUS, BREAK
                     │  SWITCH         │ └─────END──────▶ SPENT
                     │    ▼            │                  ▲
                     │  TUNNEL ────────┼───────END────────┘
                     │    │            │
                     └────┴───BREAK────┴──▶ FAILED

Each event is the table of its moves: the state before, and the one after. One that is not in the
table is impossible, and an assertion says so: above all no request goes out on a connection that
is ``SPENT`` or ``FAILED``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ResponseState(StrEnum):
    """Progress of the response to the last request."""

    IDLE = "idle"
    """No request was sent yet."""
    AWAITED = "awaited"
    """The head is to come, or the rest of it."""
    CONTENT = "content"
    """Content is to come, or its end."""
    TUNNEL = "tunnel"
    """The protocol was switched (RFC 9110, 7.8): bytes pass as they are."""
    WHOLE = "whole"
    """All has arrived, though it may not have been taken; another request may be sent."""
    SPENT = "spent"
    """All has arrived, and the connection must be closed (RFC 9112, 9.3)."""
    FAILED = "failed"
    """There will be no more of the response, for a reason that is kept."""


IDLE: Final = ResponseState.IDLE
AWAITED: Final = ResponseState.AWAITED
CONTENT: Final = ResponseState.CONTENT
TUNNEL: Final = ResponseState.TUNNEL
WHOLE: Final = ResponseState.WHOLE
SPENT: Final = ResponseState.SPENT
FAILED: Final = ResponseState.FAILED

Moves = dict[ResponseState, ResponseState]

REQUEST: Final[Moves] = {IDLE: AWAITED, WHOLE: AWAITED}
"""A request is sent."""
HEAD: Final[Moves] = {AWAITED: CONTENT}
"""The head of a final response has arrived (not that of an interim one, RFC 9110, 15.2)."""
SWITCH: Final[Moves] = {AWAITED: TUNNEL}
"""The head of a 101 that was asked for has arrived."""
COMPLETE: Final[Moves] = {CONTENT: WHOLE}
"""The content ends where it was to end."""
END: Final[Moves] = {CONTENT: SPENT, TUNNEL: SPENT}
"""The content ends, and with it the use of the connection."""
SURPLUS: Final[Moves] = {IDLE: IDLE, WHOLE: SPENT, SPENT: SPENT, FAILED: FAILED}
"""Bytes come for which there was no request."""
BREAK: Final[Moves] = {
    AWAITED: FAILED,
    CONTENT: FAILED,
    TUNNEL: FAILED,
    FAILED: FAILED,
    WHOLE: SPENT,
    SPENT: SPENT,
    IDLE: IDLE,
}
"""The connection is lost, given up, or says what is not HTTP."""

MOVES: Final[dict[str, Moves]] = {
    "REQUEST": REQUEST,
    "HEAD": HEAD,
    "SWITCH": SWITCH,
    "COMPLETE": COMPLETE,
    "END": END,
    "SURPLUS": SURPLUS,
    "BREAK": BREAK,
}
