from __future__ import annotations

from typing import Any

import pytest

from gateway.demo.arguments import (
    BadArgumentsError,
    BadContentError,
    arguments_of,
    argv_of,
    body_of,
    query_of,
)

JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content", "content_type", "body"),
    [
        (b'["a"]', JSON, ["a"]),
        (b"", JSON, None),
        (b"hello", "text/plain", None),
        (
            b"task_arguments%5B%5D=a&wait=1&n=1&n=2",
            FORM,
            {"task_arguments": ["a"], "wait": "1", "n": ["1", "2"]},
        ),
    ],
)
def test_body_is_read_by_its_content_type(content: bytes, content_type: str, body: Any) -> None:
    assert body_of(content, content_type) == body


@pytest.mark.parametrize("content", [b'{"task_arguments":', b"\xff", b"[1]]"])
def test_body_that_only_claims_to_be_json_is_refused(content: bytes) -> None:
    with pytest.raises(BadContentError):
        body_of(content, JSON)


@pytest.mark.parametrize(
    ("required", "body", "query", "arguments"),
    [
        (0, ["a"], "", ()),
        (1, ["a", "b"], "", ("a",)),
        (3, {"task_arguments": [{"x": 1}, 7, None]}, "", ('{"x":1}', "7", None)),
        (2, None, "task_arguments[]=q0&task_arguments%5B%5D=q1", ("q0", "q1")),
        (1, ["body"], "task_arguments[]=query", ("body",)),
    ],
)
def test_arguments_come_from_body_or_query(
    required: int, body: Any, query: str, arguments: tuple[Any, ...]
) -> None:
    assert arguments_of(required, body, query_of(query)) == arguments


@pytest.mark.parametrize("body", [None, [], "text", 5, {"a": 1}, {"task_arguments": "text"}])
def test_too_few_arguments_are_refused(body: Any) -> None:
    with pytest.raises(BadArgumentsError, match="An array of length 1 is required"):
        arguments_of(1, body, {})


def test_arguments_are_text_on_the_command_line() -> None:
    assert argv_of(("ñ", None, '{"x":1}')) == ("ñ", "null", '{"x":1}')
