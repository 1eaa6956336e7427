"""Asking for many jobs in one request, and what the answer says of each. Pure.

``GET /:customer/job`` lists a token's own organization's jobs, without their outputs, and leaves
out those that are gone. It tells too little to answer a client: that takes the job itself.

A list is asked for with all jobs or only with those that have ended. The latter costs next to
nothing while none has, but does not tell a job that runs from one that is gone, or that this token
gets no lists of.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from gateway.admission.identity.rejection import is_failed_lookup
from gateway.protocols.theeye.job_state import FINISHED
from gateway.sync.jobs.outcome import PollOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sync.jobs.access import JobAccess

MAX_JOBS = 200
MAX_REQUEST_BYTES = 14_000
"""Of line and fields: the upstream refuses more than about 16 kB, or never answers."""
_ID = "where%5B_id%5D%5B%24in%5D%5B%5D="
"""``where[_id][$in][]=``: an index between the last brackets would make it fail."""
_BYTES_PER_ID = len(_ID) + 24 + 1
_OTHER_BYTES = 300
"""For method, version, ``Host`` and ``Accept``."""
_ENDED = "".join(f"&where%5Blifecycle%5D%5B%24in%5D%5B%5D={state}" for state in sorted(FINISHED))
_LEAST_ANSWER_BYTES = 64 * 1024
_ANSWER_BYTES_PER_JOB = 512 * 1024
"""A listed job has about one KiB, and the last line that its script printed where TheEye 4.4.3
stores that as its state."""
_MOST_ANSWER_BYTES = 16 * 1024 * 1024
_SPLIT_ANSWERS = frozenset({413, 414, 431})
_ASK_LATER = frozenset({408, 429})


class Unlisted(Enum):
    """Why there is no list."""

    DENIED = auto()
    """Not with these credentials (401)."""
    REFUSED = auto()
    """This token gets no lists: an agent's, say."""
    TOO_MUCH = auto()
    """Too long, or one of the jobs makes it fail: fewer might do."""
    FAILING = auto()
    """The upstream did not say."""


Listing = dict[str, PollOutcome] | Unlisted
"""What is said of each job by its id in lower case; a job that is missing may be gone."""


class _Listed(msgspec.Struct):
    """All that is read of a listed job; nothing else is made into objects."""

    id: str = ""
    lifecycle: str | None = None


_decoder = msgspec.json.Decoder(list[_Listed])


def capacity(access: JobAccess) -> int:
    """How many jobs one request with these credentials can ask for."""
    fixed = len(_target(access)) + sum(len(n) + len(v) + 4 for n, v in access.credentials.fields)
    room = (MAX_REQUEST_BYTES - _OTHER_BYTES - len(_ENDED) - fixed) // _BYTES_PER_ID
    return max(1, min(room, MAX_JOBS))


def list_target(accesses: Sequence[JobAccess], *, only_ended: bool) -> str:
    """What to ask upstream; all accesses have the same credentials and organization."""
    ids = "&".join(_ID + access.job_id for access in accesses)
    return f"{_target(accesses[0])}{ids}{_ENDED if only_ended else ''}"


def max_response_bytes(jobs: int) -> int:
    return min(_LEAST_ANSWER_BYTES + jobs * _ANSWER_BYTES_PER_JOB, _MOST_ANSWER_BYTES)


def understood(status: int, content: bytes) -> Listing:
    """What the upstream's answer means."""
    if status == 200:
        try:
            listed = _decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # One of the jobs cannot be read, or it is no list at all.
            return Unlisted.TOO_MUCH if content.lstrip()[:1] == b"[" else Unlisted.REFUSED
        said = dict.fromkeys((job.id.lower() for job in listed), PollOutcome.RUNNING)
        # Where a job comes twice: a look too many does less harm than one too few.
        ended = (job.id.lower() for job in listed if job.lifecycle in FINISHED)
        return said | dict.fromkeys(ended, PollOutcome.CHANGED)
    if status == 401:
        return Unlisted.DENIED
    if status == 500 or status in _SPLIT_ANSWERS:
        return Unlisted.TOO_MUCH
    if 400 <= status < 500 and status not in _ASK_LATER and not is_failed_lookup(content):
        return Unlisted.REFUSED
    return Unlisted.FAILING


def _target(access: JobAccess) -> str:
    target = f"/{quote(access.customer, safe='')}/job?"
    return f"{target}{access.credentials.query}&" if access.credentials.query else target
