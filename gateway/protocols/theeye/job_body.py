"""The members that are read of a job in the upstream's JSON.

Not compiled: msgspec goes by the types that stand in a class, of which mypyc keeps few.
"""

from __future__ import annotations

import msgspec

_NULL = msgspec.Raw(b"null")
_ABSENT = msgspec.Raw(b"")


class JobBody(msgspec.Struct):
    """What is read of a job; members of other types than are meant count as missing."""

    id: object = None
    lifecycle: object = None
    state: object = None
    customer_name: object = None
    secret: object = None
    task_id: object = None
    trigger_name: object = None
    default_state_evaluation: object = None
    task: msgspec.Raw = _ABSENT
    creation_date: object = None
    last_update: object = None
    output: msgspec.Raw = _NULL
    result: msgspec.Raw = _ABSENT


class TaskBody(msgspec.Struct):
    """What is read of the task in a job."""

    default_state_evaluation: object = None
