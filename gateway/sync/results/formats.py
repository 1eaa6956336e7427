"""A finished job's result in the format the client asks for, with the status that goes with it.

``FORMATS`` has a row for each format. ``result``, ``full`` and ``output`` are the orchestrator's
bytes, but for lone surrogates: an escape such as ``\\ud800`` without its partner, which JavaScript
writes and no Unicode text may have. ``full`` has them as they came; in ``result`` and ``output``,
and so for ``parse``, each is ``\\ufffd``, the replacement character, which has as many bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gateway.errors import JSON_CONTENT, Field, Response, ResponseTooLarge
from gateway.protocols.http.fields import HOP_BY_HOP
from gateway.protocols.http.fields import value as field_value
from gateway.protocols.theeye.ecma_json import JsonError, number, parse, stringify
from gateway.protocols.theeye.job import Job
from gateway.sync.results.elements import TooManyParts, element

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.protocols.http.query import Query

Profile = Literal["4.6", "4.15"]

MAX_FIELDS = 50
MAX_FIELDS_BYTES = 16 * 1024

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


@dataclass(frozen=True, slots=True)
class Format:
    """A format that a client asks for: the name of a row of ``FORMATS``."""

    name: str
    index: str = ""
    """The value of ``parse``: which element of the output."""

    @property
    def is_of_output(self) -> bool:
        """Whether the job's output is all that it takes."""
        return FORMATS[self.name].is_of_output

    @property
    def is_parsed(self) -> bool:
        """Whether making it takes long for a long output."""
        return FORMATS[self.name].is_parsed


class Making(NamedTuple):
    """How a result is made: the ``status`` where a task chooses none, and what the settings say."""

    status: int
    profile: Profile
    parse_bytes: int


@dataclass(frozen=True, slots=True)
class FormatRule:
    """A row of ``FORMATS``; ``respond`` is given the status that the job's state has by itself."""

    respond: Callable[[Job, Format, Making], Response]
    default_of: Profile | None = None
    """The profile in which it is the format where none is asked for, and gives way to others."""
    is_of_output: bool = False
    is_parsed: bool = False


def result_format(query: Query, profile: Profile) -> Format:
    """The format that a query asks for, or the profile's own."""
    given = {pair.key: pair.value for pair in reversed(query.pairs)}
    default = next(name for name, rule in FORMATS.items() if rule.default_of == profile)
    asked = [name for name in FORMATS if name in given and name != default]
    return Format(asked[0] if asked else default, given.get("parse", ""))


def result_response(job: Job, wanted: Format, profile: Profile, parse_bytes: int) -> Response:
    """The response to a result request for a finished job.

    Raises:
        ResponseTooLarge: ``parse`` is asked for of an element with more than ``parse_bytes``, or
            what is asked for was not read with the job.
    """
    if not (job.is_whole or wanted.is_of_output):
        raise ResponseTooLarge("The job is larger than may be held here; ask for output instead")
    status = 200 if job.state == "success" else 500
    return FORMATS[wanted.name].respond(job, wanted, Making(status, profile, parse_bytes))


def _result(job: Job, _: Format, making: Making) -> Response:
    return Response(making.status, job.result or b"null")


def _full(job: Job, _: Format, making: Making) -> Response:
    return Response(making.status, job.raw)


def _output(job: Job, _: Format, making: Making) -> Response:
    return Response(making.status, job.output)


def _parse(job: Job, wanted: Format, making: Making) -> Response:
    try:
        found = _element(memoryview(job.output_json), wanted.index, making.parse_bytes)
        parsed = _parsed(found, making.profile)
    except JsonError as error:
        return Response(500, _not_parsed(job, making.profile, error.details))
    status = parsed.status or making.status
    if status in _WITHOUT_CONTENT:
        kept = [field for field in parsed.fields if field[0].lower() != b"content-type"]
        return Response(status, b"", tuple(kept))
    return Response(status, parsed.content, parsed.fields)


FORMATS: Mapping[str, FormatRule] = {
    "result": FormatRule(_result),
    "full": FormatRule(_full),
    "parse": FormatRule(_parse, default_of="4.15", is_of_output=True, is_parsed=True),
    "output": FormatRule(_output, default_of="4.6", is_of_output=True),
}
"""By the key that asks for it in a query. Of several the first is given."""


def _parsed(found: Any, profile: Profile) -> _Parsed:
    value = found
    if isinstance(found, str):
        # TheEye takes the empty string for no element.
        value = parse(found) if found else None
    if profile == "4.15" and isinstance(value, dict):
        response = value.get("response")
        if isinstance(response, dict):
            return _task_response(response)
    return _Parsed(_status(value, _STATUS_KEYS[profile]), _json(value))


def _element(output: memoryview, index: str, parse_bytes: int) -> Any:
    """The output's element; None where there is no such one."""
    if not _INDEX.fullmatch(index or "0"):
        return None
    try:
        found = element(output, int(index or "0"))
    except TooManyParts:
        raise ResponseTooLarge(
            "The job's output has too many parts to be parsed; ask for output instead"
        ) from None
    if found is None:
        return None
    if len(found) > parse_bytes:
        raise ResponseTooLarge(
            f"The element of the job's output has {len(found)} bytes and is parsed up to "
            f"{parse_bytes}; ask for output instead"
        )
    return parse(found.decode("utf-8", "replace"))


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
    if job.result:
        members.append(b'"result":' + job.result)
    return b"{" + b",".join(members) + b"}"


def _task_response(response: dict[str, Any]) -> _Parsed:
    """The status, fields and content a task chose for its response."""
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
