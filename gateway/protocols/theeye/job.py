"""A job as the upstream tells it. The whole is kept byte for byte; ``output`` and ``result`` too,
but for lone surrogates, which are replaced in them (``without_lone_surrogates``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import msgspec

from gateway.errors import Field, Response
from gateway.protocols.theeye.ecma_json import without_lone_surrogates
from gateway.protocols.theeye.job_body import JobBody, TaskBody
from gateway.protocols.theeye.job_state import FINISHED, known_state

INVALID_ID = Response(400, b'"job id is invalid"')
NOT_FOUND = Response(404, b'"job not found"')
"""As the upstream words them."""

PRESUMED = "presumed"
"""The state that is told of a workflow that has probably ended."""

T = TypeVar("T")

ID_PATTERN = "[0-9a-fA-F]{24}"
_ID = re.compile(ID_PATTERN)
_SECRET = re.compile(r"[0-9A-Za-z_-]{1,256}")


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    lifecycle: str
    """Empty where the job has none, as ``customer_name``."""
    state: str
    """As ``known_state`` has it, never a text of the job's script."""
    customer_name: str
    output_json: msgspec.Raw
    """``null`` where the job has none; a part of ``raw``, not copied, as ``result_json``."""
    result_json: msgspec.Raw
    """Empty where the job has none."""
    raw: bytes
    held_bytes: int
    """What all this takes in memory, but for a few hundred bytes."""
    secret: str = field(default="", repr=False)
    """With which anybody may read the job; empty where the upstream has none."""
    task_id: str = ""
    created: str = ""
    """By the upstream's clock (ISO 8601), as ``updated``, which is the end of a finished job."""
    updated: str = ""
    is_whole: bool = True
    """Else it is too large to be held, and only its output was read, and what lists tell."""
    result_of: str = ""
    """The id of the task job whose output and result these are, of a workflow's job."""
    is_presumed: bool = False
    """That it has ended is not known for sure."""

    @property
    def output(self) -> bytes:
        """A copy of the output."""
        return bytes(self.output_json)

    @property
    def result(self) -> bytes:
        """A copy of the result, empty where the job has none."""
        return bytes(self.result_json)

    @property
    def is_finished(self) -> bool:
        return self.lifecycle in FINISHED

    @property
    def shown_state(self) -> str:
        """The state that a client is told."""
        return PRESUMED if self.is_presumed else self.state

    @property
    def run_seconds(self) -> float | None:
        """The seconds a finished job took from its creation on, None where it does not tell."""
        try:
            ran = datetime.fromisoformat(self.updated) - datetime.fromisoformat(self.created)
        except (ValueError, TypeError):
            return None
        return ran.total_seconds()

    @property
    def ended_at(self) -> float | None:
        """When a finished job ended, in seconds since 1970 by the upstream's clock, None where it
        does not tell."""
        try:
            ended = datetime.fromisoformat(self.updated)
            return ended.timestamp() if ended.tzinfo is not None else None
        except ValueError:
            return None


_decoder = msgspec.json.Decoder(JobBody)
_raw_decoder = msgspec.json.Decoder(msgspec.Raw)
_task_decoder = msgspec.json.Decoder(TaskBody)


def is_job_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def parse_job(content: bytes) -> Job | None:
    """The job a body holds, None where it holds none."""
    decoded = _decoded(_decoder, content)
    body, copied_bytes = decoded
    if body is None or not isinstance(body.id, str) or not is_job_id(body.id):
        return None
    return Job(
        body.id,
        _text(body.lifecycle),
        known_state(
            _text(body.lifecycle), _text(body.state), _text(body.trigger_name), _evaluation(body)
        ),
        _text(body.customer_name),
        body.output,
        body.result,
        content,
        len(content) + copied_bytes,
        body.secret if isinstance(body.secret, str) and _SECRET.fullmatch(body.secret) else "",
        _text(body.task_id),
        _text(body.creation_date),
        _text(body.last_update),
    )


def with_output(job: Job, output: bytes) -> Job | None:
    """The job, of which no more is known than lists tell, with its output; None where that is not
    JSON."""
    decoded = _decoded(_raw_decoder, output)
    content, copied_bytes = decoded
    if content is None:
        return None
    held_bytes = job.held_bytes + len(output) + copied_bytes
    return replace(job, output_json=content, held_bytes=held_bytes, is_whole=False)


def job_fields(job_id: str, state: str) -> tuple[Field, Field]:
    """Make the fields of every response of the sync mode; an empty ``state`` is ``unknown``."""
    shown = (state or "unknown").encode("ascii")
    return (b"X-TheEye-Job-Id", job_id.encode()), (b"X-TheEye-Job-State", shown)


def _decoded(decoder: msgspec.json.Decoder[T], content: bytes) -> tuple[T | None, int]:
    """Decode the content, and tell how large the copy is that it is a part of, 0 where that is the
    content itself. In a copy lone surrogates, which JavaScript writes, are replaced."""
    try:
        return decoder.decode(content), 0
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    copy = without_lone_surrogates(content)
    try:
        return decoder.decode(copy), len(copy)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, 0


def _evaluation(body: JobBody) -> str:
    """Read what a state of the script's own wording counts as, from the job or else its task."""
    own = _text(body.default_state_evaluation)
    if own or memoryview(body.task)[:1].tobytes() != b"{":
        return own
    try:
        return _text(_task_decoder.decode(body.task).default_state_evaluation)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
