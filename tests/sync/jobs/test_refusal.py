"""Which of the upstream's 4xx are about the job, by what TheEye was recorded to answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.jobs.refusal import is_gone, is_refusal
from tests.support.theeye import LOOKUP_FAILED

RECORDINGS = Path(__file__).parents[2] / "recordings"


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, b'"job id is invalid"'),
        (401, b'"Unauthorized"'),
        (401, b""),
        (401, LOOKUP_FAILED),
        (403, b'"forbidden"'),
        (403, b'"Forbidden"'),
        (403, b'"invalid secret"'),
        (404, b'"job not found"'),
        (404, b'{"statusCode":404,"message":"job not found"}'),
        (404, b'"organization not found"'),
        (406, b'{"code":"NotAcceptable"}'),
        (409, b'{"message":"Incorrect Organizations. Session conflict"}'),
        (431, b""),
    ],
)
def test_what_theeye_says_of_a_job_is_a_refusal(status: int, content: bytes) -> None:
    assert is_refusal(status, content)
    assert is_gone(status, content) is (status == 404 and b"job not found" in content)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        *((status, LOOKUP_FAILED) for status in (402, 403, 404, 405, 409, 410, 451)),
        *((403, content) for content in (b"", b"<h1>Forbidden</h1>", b'"no"', b"7", b"\xff")),
        (404, b""),
        (404, b'"not the job not found"'),
        (404, b'{"code":"ResourceNotFound","message":"/acme/job/x does not exist"}'),
        (404, b'{"message":["job not found"]}'),
        (404, b"[" * 100_000),
        *((status, b'"job not found"') for status in (200, 302, 408, 429, 500, 503)),
    ],
)
def test_anything_else_says_that_the_upstream_is_failing(status: int, content: bytes) -> None:
    assert not is_refusal(status, content)
    assert not is_gone(status, content)


def recorded(name: str) -> list[Any]:
    """The answers of a scenario to reads of a job, in all versions."""
    found = []
    for path in sorted(RECORDINGS.glob(f"*/{name}.json")):
        for exchange in json.loads(path.read_text())["exchanges"]:
            line = exchange["request"]["line"].split("?")[0]
            if line.startswith("GET /acme/job/") and "/lifecycle" not in line:
                response = exchange["response"]
                status = int(response["line"].split()[1])
                found.append((status, response["body"].encode()))
    assert found
    return found


def test_recorded_words_about_a_job_are_refusals_in_every_version() -> None:
    refusals = [answer for answer in recorded("job_read_errors") if answer[0] != 200]
    assert {status for status, _ in refusals} >= {403, 404}
    assert all(is_refusal(*answer) for answer in refusals)


@given(st.integers(100, 599), st.binary() | st.text().map(lambda text: json.dumps(text).encode()))
def test_no_content_can_make_the_judgement_fail(status: int, content: bytes) -> None:
    is_refusal(status, content)
