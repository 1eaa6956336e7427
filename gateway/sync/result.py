"""A finished job's result in the format the client asks for, with the status that goes with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gateway.errors import JSON_CONTENT, Answer, AnswerTooLarge
from gateway.fields import HOP_BY_HOP
from gateway.fields import value as field_value
from gateway.query import pairs
from gateway.sync.javascript import JsonError, number, parse, stringify

if TYPE_CHECKING:
    from gateway.errors import Field
    from gateway.sync.job import Job

Profile = Literal["4.6", "4.15"]

MAX_FIELDS = 50
MAX_FIELDS_BYTES = 16 * 1024

_PRECEDENCE = ("result", "full", "output", "parse")
_DEFAULT_FORMAT = {"4.6": "output", "4.15": "parse"}
_STATUS_KEYS = {"4.6": ("statusCode", "status"), "4.15": ("statusCode",)}
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_WITHOUT_CONTENT = frozenset({204, 205, 304})
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\x20-\x7e\x80-\xff]*")
_NOT_FOR_TASKS = HOP_BY_HOP | {
    b"alt-svc",
    b"cache-control",
    b"clear-site-data",
    b"content-encoding",
    b"content-length",
    b"date",
    b"location",
    b"refresh",
    b"service-worker-allowed",
    b"set-cookie",
    b"set-cookie2",
    b"strict-transport-security",
    b"x-request-id",
}
_NOT_FOR_TASKS_PREFIXES = (b"access-control-", b"sec-websocket-", b"x-theeye-")


@dataclass(frozen=True, slots=True)
class _Parsed:
    """What ``parse`` makes of a job: its status where the task chose one, fields and content."""

    status: int | None
    content: bytes
    fields: tuple[Field, ...] = (JSON_CONTENT,)


def result_answer(job: Job, query: str, profile: Profile, parse_bytes: int) -> Answer:
    """The answer to a result request for a finished job.

    Raises:
        AnswerTooLarge: ``parse`` is asked for and the output has more than ``parse_bytes``.
    """
    default = 200 if job.state == "success" else 500
    given = {pair.key: pair.value for pair in reversed(pairs(query))}
    chosen = next((key for key in _PRECEDENCE if key in given), _DEFAULT_FORMAT[profile])
    if chosen == "result":
        return Answer(default, job.result or b"null")
    if chosen == "full":
        return Answer(default, job.raw)
    if chosen == "output":
        return Answer(default, job.output)
    if len(job.output) > parse_bytes:
        raise AnswerTooLarge(
            f"The job's output has {len(job.output)} bytes and is parsed up to {parse_bytes}; "
            "ask for output instead"
        )
    try:
        parsed = _parsed(job, given.get("parse", ""), profile)
    except JsonError as error:
        return Answer(500, _not_parsed(job, profile, error.details))
    status = parsed.status or default
    if status in _WITHOUT_CONTENT:
        kept = [field for field in parsed.fields if field[0].lower() != b"content-type"]
        return Answer(status, b"", tuple(kept))
    return Answer(status, parsed.content, parsed.fields)


def _parsed(job: Job, index: str, profile: Profile) -> _Parsed:
    element = _element(job.output, index)
    value = parse(element) if isinstance(element, str) else element
    if profile == "4.15" and isinstance(value, dict):
        response = value.get("response")
        if isinstance(response, dict):
            return _task_response(response)
    return _Parsed(_status(value, _STATUS_KEYS[profile]), _json(value))


def _element(output: bytes, index: str) -> Any:
    """The output's element; None where there is no such one."""
    try:
        elements = parse(output.decode("utf-8", "replace"))
    except JsonError:
        return None
    if not isinstance(elements, list) or not _INDEX.fullmatch(index or "0"):
        return None
    position = int(index or "0")
    return elements[position] if position < len(elements) else None


def _status(value: Any, keys: tuple[str, ...]) -> int | None:
    """The first of the keys that holds an integer from 200 to 599; anything else is absent."""
    if isinstance(value, dict):
        for key in keys:
            status = value.get(key)
            if isinstance(status, int) and not isinstance(status, bool) and 200 <= status <= 599:
                return status
    return None


def _json(value: Any) -> bytes:
    return stringify(value).encode()


def _not_parsed(job: Job, profile: Profile, details: str) -> bytes:
    # The spelling is TheEye's.
    if profile == "4.6":
        members = [b'"message":"task ejecution result cannot be parsed"']
    else:
        members = [
            b'"message":"Invalid task ejecution result. Cannot be parsed"',
            b'"details":' + _json(details),
        ]
    if job.result is not None:
        members.append(b'"result":' + job.result)
    return b"{" + b",".join(members) + b"}"


def _task_response(response: dict[str, Any]) -> _Parsed:
    """The status, fields and content a task chose for its answer."""
    status = _status(response, ("statusCode",))
    fields = task_fields(response.get("headers"))
    if "body" not in response:
        return _Parsed(status, b"", fields)
    body = response["body"]
    content_type = field_value(fields, b"content-type")
    if isinstance(body, str) and content_type is not None and b"json" not in content_type.lower():
        return _Parsed(status, body.encode("utf-8", "replace"), fields)
    if content_type is None:
        fields = (JSON_CONTENT, *fields)
    return _Parsed(status, _json(body), fields)


def task_fields(headers: Any) -> tuple[Field, ...]:
    """The field lines a task may set: none that frames, that is the gateway's, or that is
    dangerous to an origin it shares with others. The first 50, and 16 kB, of them."""
    fields: list[Field] = []
    names: set[bytes] = set()
    room = MAX_FIELDS_BYTES
    for name, value in headers.items() if isinstance(headers, dict) else ():
        line = _field(name, value)
        if line is None or len(fields) == MAX_FIELDS or line[0].lower() in names:
            continue
        names.add(line[0].lower())
        room -= len(line[0]) + len(line[1]) + 4
        if room < 0:
            break
        fields.append(line)
    return tuple(fields)


def _field(name: str, value: Any) -> Field | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = number(value)
    if not isinstance(value, str):
        return None
    try:
        line = name.encode("ascii"), value.strip(" \t").encode("latin-1")
    except UnicodeEncodeError:
        return None
    # Some servers take an underscore for a hyphen.
    key = line[0].lower().replace(b"_", b"-")
    if key in _NOT_FOR_TASKS or key.startswith(_NOT_FOR_TASKS_PREFIXES):
        return None
    if not _TOKEN.fullmatch(line[0]) or not _VALUE.fullmatch(line[1]):
        return None
    return line
