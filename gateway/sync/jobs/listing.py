"""Lists of many jobs in one request, and the outcome for each. Pure.

``GET /:customer/job`` lists the jobs of a token's own organization, without their outputs, and
leaves out those that are gone (recordings listing, listing_many_ids). It has too little for the
result of a client: that takes the job itself.

A list has all jobs that it names, or only those that have ended. The latter costs next to nothing
while none has, but does not tell a job that runs from one that is gone, or that this token gets no
lists of.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from gateway.admission.identity.rejection import is_failed_lookup
from gateway.protocols.theeye.job_state import FINISHED
from gateway.sync.jobs.outcome import PollOutcome
from gateway.sync.jobs.refusal import TRY_LATER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sync.jobs.access import JobAccess

MAX_JOBS = 200
MAX_REQUEST_BYTES = 14_000
"""Bound of request line and fields: TheEye refuses more than about 16 kB with 431, or never
answers."""
_ID = "where%5B_id%5D%5B%24in%5D%5B%5D="
"""``where[_id][$in][]=``: with an index between the last brackets TheEye answers 500 (recording
listing_many_ids)."""
_BYTES_PER_ID = len(_ID) + 24 + 1
_OTHER_BYTES = 300
"""Room for method, version, ``Host`` and ``Accept``."""
ENDED_ONLY = "".join(
    f"&where%5Blifecycle%5D%5B%24in%5D%5B%5D={state}" for state in sorted(FINISHED)
)
"""The end of a target that leaves out jobs that go on."""
_LEAST_RESPONSE_BYTES = 64 * 1024
_RESPONSE_BYTES_PER_JOB = 512 * 1024
"""Bound of one listed job: about one KiB, and the last line that its script printed where TheEye
4.4.3 stores that as the state (observed, states.txt)."""
_MOST_RESPONSE_BYTES = 16 * 1024 * 1024
_SPLIT_STATUSES = frozenset({413, 414, 431})


class Unlisted(Enum):
    """Reasons for which a list cannot be had."""

    DENIED = auto()
    """401: the credentials are not accepted."""
    REFUSED = auto()
    """The token gets no lists: an agent's, say (recording agent_protocol)."""
    TOO_MUCH = auto()
    """Too long, or one of the jobs makes it fail: fewer might do."""
    FAILING = auto()
    """The upstream did not say."""


Listing = dict[str, PollOutcome] | Unlisted
"""Outcomes by job id in lower case; a job that is missing may be gone."""


class _Listed(msgspec.Struct):
    """The fields of a listed job that are read; nothing else is made into objects."""

    id: str = ""
    lifecycle: str | None = None


_decoder = msgspec.json.Decoder(list[_Listed])


def capacity(access: JobAccess) -> int:
    """The number of jobs that one request with these credentials can list, at least 1."""
    return fitting(access, _BYTES_PER_ID, len(ENDED_ONLY))


def fitting(access: JobAccess, bytes_per_id: int, other_bytes: int = 0) -> int:
    """The number of ids that fit into a list's target, with ``other_bytes`` besides them."""
    fixed = len(list_path(access)) + sum(len(n) + len(v) + 4 for n, v in access.credentials.fields)
    room = (MAX_REQUEST_BYTES - _OTHER_BYTES - other_bytes - fixed) // bytes_per_id
    return max(1, min(room, MAX_JOBS))


def list_target(accesses: Sequence[JobAccess], *, only_ended: bool) -> str:
    """The target of a list; all accesses have the same credentials and organization."""
    ids = "&".join(_ID + access.job_id for access in accesses)
    return f"{list_path(accesses[0])}{ids}{ENDED_ONLY if only_ended else ''}"


def max_response_bytes(jobs: int) -> int:
    return min(_LEAST_RESPONSE_BYTES + jobs * _RESPONSE_BYTES_PER_JOB, _MOST_RESPONSE_BYTES)


def understood(status: int, content: bytes) -> Listing:
    """The meaning of the upstream's response to a list."""
    if status == 200:
        try:
            listed = _decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # One of the jobs cannot be read, or it is no list at all.
            return Unlisted.TOO_MUCH if content.lstrip()[:1] == b"[" else Unlisted.REFUSED
        said = dict.fromkeys((job.id.lower() for job in listed), PollOutcome.RUNNING)
        # Where a job comes twice: a read too many does less harm than one too few.
        ended = (job.id.lower() for job in listed if job.lifecycle in FINISHED)
        return said | dict.fromkeys(ended, PollOutcome.CHANGED)
    if status == 401:
        return Unlisted.DENIED
    if status in TRY_LATER or is_failed_lookup(content):
        return Unlisted.FAILING
    if status == 500 or status in _SPLIT_STATUSES:
        return Unlisted.TOO_MUCH
    return Unlisted.REFUSED if 400 <= status < 500 else Unlisted.FAILING


def list_path(access: JobAccess) -> str:
    """The target of a list up to its conditions, with the credentials of a query."""
    target = f"/{quote(access.customer, safe='')}/job?"
    return f"{target}{access.credentials.query}&" if access.credentials.query else target
