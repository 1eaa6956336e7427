"""What is known of a key: its states, the moves between them, and the record that is kept.

    absent --claim--> SENDING --a job, or its reply--> CREATED
                       |  |
                       |  +--failed after it was sent--> UNKNOWN
                       +--no job can have come of it--> absent

A key in ``SENDING`` has a lease, which whoever sends the request renews. Where that has run out the
sender is dead, or held up: to others the key is ``UNKNOWN`` then, until the sender says otherwise.
No move leads from a job that may exist to another request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

LEASE_SECONDS: Final = 3.0
"""How long a sender that says nothing is taken to be alive. It renews three times as often."""


class KeyState(StrEnum):
    """The progress of the creation that a key names."""

    ABSENT = "absent"
    """Nothing is known: whoever claims the key is the first."""
    SENDING = "sending"
    """A gateway sends the first request, and has no response yet."""
    CREATED = "created"
    """There is a job."""
    UNKNOWN = "unknown"
    """The request was sent, and nobody knows what became of it."""


FOLLOWERS: Final = {
    KeyState.ABSENT: frozenset({KeyState.SENDING}),
    KeyState.SENDING: frozenset({KeyState.CREATED, KeyState.UNKNOWN, KeyState.ABSENT}),
    KeyState.CREATED: frozenset({KeyState.ABSENT}),
    KeyState.UNKNOWN: frozenset({KeyState.ABSENT}),
}
"""The states that may come after each; from the last two only time leads on, and a full store."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """What a key is kept under. Both are hashes, which tell nothing of key or caller."""

    caller: bytes
    """Whose it is, 16 bytes."""
    digest: bytes
    """Of caller and key, 16 bytes."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key, as it is kept."""

    state: KeyState
    fingerprint: bytes = b""
    """Of the first request: a hash with a key that only repetitions know."""
    sealed: bytes = field(default=b"", repr=False)
    """Of a key in ``CREATED``: the job and the reply that told of it, sealed."""
    age_seconds: float = 0.0
    """Since it came to its state."""

    @property
    def size(self) -> int:
        """Bytes that it takes, but for a few hundred."""
        return len(self.fingerprint) + len(self.sealed)


NOBODY_KNOWS: Final = (
    "The first request with this Idempotency-Key broke off, and may have created a job: look for it"
    " before you send the request with another key"
)
"""What is told of a key in ``UNKNOWN``."""
ABSENT: Final = KeyRecord(KeyState.ABSENT)


def check_move(before: KeyState, after: KeyState) -> None:
    """Assert that the table has the move."""
    assert after in FOLLOWERS[before], f"a key that is {before} does not become {after}"
