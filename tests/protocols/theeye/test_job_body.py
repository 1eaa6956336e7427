"""What is read of a job's JSON."""

from __future__ import annotations

import msgspec
import pytest

from gateway.protocols.theeye.job_body import JobBody, TaskBody


def test_output_and_result_are_read_byte_for_byte() -> None:
    body = msgspec.json.decode(b'{"output": [ "1" ], "result":{"a" : 1e2}}', type=JobBody)
    assert (bytes(body.output), bytes(body.result)) == (b'[ "1" ]', b'{"a" : 1e2}')


def test_missing_output_is_null_and_a_missing_result_is_empty() -> None:
    body = msgspec.json.decode(b"{}", type=JobBody)
    assert (bytes(body.output), bytes(body.result), bytes(body.task)) == (b"null", b"", b"")


@pytest.mark.parametrize("value", [None, 1, "x", [1], {"a": 1}])
def test_member_of_any_type_is_read(value: object) -> None:
    content = msgspec.json.encode({"id": value, "state": value, "lifecycle": value})
    body = msgspec.json.decode(content, type=JobBody)
    assert body.id == body.state == body.lifecycle == value


def test_task_tells_what_a_state_counts_as() -> None:
    content = b'{"name":"t","default_state_evaluation":"failure"}'
    assert msgspec.json.decode(content, type=TaskBody).default_state_evaluation == "failure"
