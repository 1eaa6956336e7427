"""Lists of the ended jobs of a range of ids: one short request for any number of jobs. Pure.

``GET /:customer/job`` takes any ``where``. TheEye's ids begin with the time of creation and are the
collection's index, so jobs that are waited for lie close together. The list answers ``[]`` while
none of them has ended. It has every ended job of the range that the token may see, also those that
nobody waits for, and has nothing that was removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from gateway.admission.identity.rejection import is_failed_lookup
from gateway.sync.jobs.listing import ENDED_ONLY, Unlisted, list_path
from gateway.sync.jobs.listing import understood as list_understood
from gateway.sync.jobs.outcome import PollOutcome

if TYPE_CHECKING:
    from gateway.sync.jobs.access import JobAccess

MAX_RANGE_BYTES = 4 * 1024 * 1024
"""Bound of a response: some four thousand jobs of the usual size."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids in lower case, both included."""

    oldest: str
    newest: str

    def __contains__(self, job_id: str) -> bool:
        return self.oldest <= job_id <= self.newest


class Unranged(Enum):
    """Reasons for which the ended jobs of a range cannot be had."""

    DENIED = auto()
    """401: the credentials are not accepted."""
    REFUSED = auto()
    """The token gets no lists."""
    UNKNOWN = auto()
    """500, or jobs that were not asked for: the upstream does not know ranges."""
    TOO_MUCH = auto()
    """The response is too long, or one of its jobs cannot be read."""
    FAILING = auto()
    """The upstream did not say."""


Ended = frozenset[str] | Unranged
"""The ids, in lower case, of jobs that have ended."""

_REASONS = {
    Unlisted.DENIED: Unranged.DENIED,
    Unlisted.REFUSED: Unranged.REFUSED,
    Unlisted.TOO_MUCH: Unranged.TOO_MUCH,
    Unlisted.FAILING: Unranged.FAILING,
}


def range_target(access: JobAccess, ids: IdRange) -> str:
    """The target of a list of the ended jobs of a range; of ``access`` only organization and
    credentials count."""
    bounds = f"where%5B_id%5D%5B%24gte%5D={ids.oldest}&where%5B_id%5D%5B%24lte%5D={ids.newest}"
    return f"{list_path(access)}{bounds}{ENDED_ONLY}"


def range_understood(status: int, content: bytes, ids: IdRange) -> Ended:
    """The meaning of the upstream's response to a list of the ended jobs of ``ids``."""
    if status == 500 and not is_failed_lookup(content):
        return Unranged.UNKNOWN
    listing = list_understood(status, content)
    if isinstance(listing, Unlisted):
        return _REASONS[listing]
    if all(job_id in ids and said is PollOutcome.CHANGED for job_id, said in listing.items()):
        return frozenset(listing)
    return Unranged.UNKNOWN
