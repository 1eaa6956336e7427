"""The last requests that failed, a few of each reason: a flood of one hides no other."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from gateway.admission.identity.identities import Identity
from gateway.ops.log.visible import WORD_CHARACTERS, agent_in_words, shown, shown_word
from gateway.protocols.http.fields import value

if TYPE_CHECKING:
    from gateway.downstream.exchange import Exchange

OF_A_REASON: Final = 16
"""So many are kept, and so many of one second at most."""
REASONS: Final = 64
"""Codes of errors and statuses of the upstream; there are fewer."""
TARGET_CHARACTERS: Final = 256


class Failure:
    """A request that failed; ``finished`` is in the clock's seconds. It holds no secret."""

    __slots__ = (
        "finished",
        "identity",
        "job_id",
        "kind",
        "method",
        "reason",
        "request_id",
        "status",
        "target",
        "upstream_status",
        "user_agent",
    )

    def __init__(self, exchange: Exchange) -> None:
        client = exchange.client
        agent = value(client.fields, b"user-agent") or b""
        self.finished: float = exchange.finished
        self.request_id: str = shown_word(exchange.request_id)
        self.kind: str = exchange.kind.value
        self.method: str = shown_word(client.method)
        self.target: str = shown(client.target, TARGET_CHARACTERS)
        self.status: int = exchange.status
        self.reason: str = exchange.reason
        self.upstream_status: int = exchange.upstream_status
        self.job_id: str = shown_word(exchange.job_id)
        self.identity: Identity = exchange.identity
        self.user_agent: str = agent_in_words(agent)[:WORD_CHARACTERS]


class Failures:
    """Observes requests, and keeps those with a reason, or with a 5xx of the upstream's."""

    def __init__(self) -> None:
        self._by_reason: dict[str, deque[Failure]] = {}

    def observe(self, exchange: Exchange) -> None:
        """Take note of a request that is over, where it failed."""
        if exchange.reason or exchange.status >= 500:
            self._note(exchange)

    def last(self, most: int) -> list[Failure]:
        """The last ones, at most so many, the last one first."""
        failures = [one for kept in self._by_reason.values() for one in kept]
        return sorted(failures, key=_finished, reverse=True)[:most]

    def _note(self, exchange: Exchange) -> None:
        reason = exchange.reason or str(exchange.status)
        kept = self._by_reason.get(reason)
        if kept is None:
            if len(self._by_reason) >= REASONS:
                return
            kept = self._by_reason[reason] = deque(maxlen=OF_A_REASON)
        if len(kept) < OF_A_REASON or exchange.finished - kept[0].finished >= 1.0:
            kept.append(Failure(exchange))


def _finished(failure: Failure) -> float:
    return failure.finished
