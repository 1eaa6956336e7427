"""How a create request gives a task its arguments (4.4.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.demo.qs import parse

Query = Mapping[str, list[str]]
_JSON_TYPE = re.compile(r"application/json$|application/[a-z.]+\+json")
"""What restify takes for JSON."""


class BadContentError(ValueError):
    """The content claims to be JSON and is not."""


class BadArgumentsError(ValueError):
    """There are too few arguments, or they are no array."""


def query_of(text: str) -> dict[str, list[str]]:
    """A query or form as its parameters' values, names as they are: ``where[_id][$in][]``."""
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return found


def body_of(content: bytes, content_type: str) -> Any:
    """The request's content as a JSON value; None where there is none we can read."""
    media_type = content_type.partition(";")[0].strip().lower()
    if content and _JSON_TYPE.match(media_type):
        try:
            return msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadContentError("Invalid JSON: Unexpected end of JSON input") from error
    if media_type == "application/x-www-form-urlencoded":
        return parse(content.decode(errors="replace"))
    return None


def arguments_of(required: int, body: Any, query: Query) -> tuple[Any, ...]:
    """The task's arguments as a job keeps them; what it does not ask for is dropped."""
    if not required:
        return ()
    given = _given(body, query)
    if not isinstance(given, list) or len(given) < required:
        raise BadArgumentsError(
            f"Invalid Task Arguments. An array of length {required} is required. "
            "Optionals must be null"
        )
    return tuple(kept(value) for value in given[:required])


def argv_of(arguments: Iterable[Any]) -> tuple[str, ...]:
    """The arguments as they stand on the command's line."""
    return tuple(_text(value) for value in arguments)


def _given(body: Any, query: Query) -> Any:
    if isinstance(body, list):
        return body
    if isinstance(body, dict) and "task_arguments" in body:
        return body["task_arguments"]
    return query.get("task_arguments[]")


def kept(value: Any) -> Any:
    """An argument as a job keeps it: a string, or None."""
    return None if value is None else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
