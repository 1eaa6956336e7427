import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.theeye.job import is_job_id, job_fields, parse_job
from tests.support.theeye import JOB_ID, finished, job


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (JOB_ID, True),
        (JOB_ID.upper(), True),
        (JOB_ID[1:], False),
        (JOB_ID + "0", False),
        (JOB_ID + "\n", False),
        ("x" * 24, False),
        ("٠" * 24, False),
        ("", False),
    ],
)
def test_job_id_is_24_hex_digits(text: str, valid: bool) -> None:
    assert is_job_id(text) is valid


def test_output_and_result_are_the_upstreams_bytes() -> None:
    content = b'{"id":"%b","output" : [ "\\u00f1", 1.0 ],"result":{ "a":1e2 }}' % JOB_ID.encode()
    found = parse_job(content)
    assert found is not None
    assert found.output == b'[ "\\u00f1", 1.0 ]'
    assert found.result == b'{ "a":1e2 }'
    assert found.raw is content


def test_job_with_lone_surrogates_is_still_a_job() -> None:
    pair = b'\\ud83d\\ude00 \\\\ud800 \\" '
    content = finished(task_arguments_values=["X"], output=["Y"])
    content = content.replace(b"X", b"\\ud800").replace(b"Y", pair + b"\\udfff")
    found = parse_job(content)
    assert found is not None
    assert found.output == b'["' + pair + b'\\ufffd"]'
    assert found.raw is content


@pytest.mark.parametrize(
    ("lifecycle", "is_finished"),
    [
        *((name, True) for name in ["finished", "terminated", "canceled", "expired", "completed"]),
        *(
            (name, False)
            for name in ["started", "ready", "assigned", "onhold", "syncing", "locked"]
        ),
        ("new", False),
        (None, False),
        (7, False),
    ],
)
def test_job_is_finished_by_its_lifecycle(lifecycle: object, is_finished: bool) -> None:
    found = parse_job(job(lifecycle=lifecycle))
    assert found is not None
    assert found.is_finished is is_finished


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{}", b"null", b"[]", b'"job not found"', b'{"id":7}', b'{"id":"x"}', b"\xff\xfe"),
        b'{"id":"%b","a":%b}' % (JOB_ID.encode(), b"[" * 100_000),
        finished()[:-1],
    ],
)
def test_what_is_no_job_is_none(content: bytes) -> None:
    assert parse_job(content) is None


@given(st.binary() | st.text().map(lambda text: finished(output=text)))
def test_no_content_can_make_reading_fail(content: bytes) -> None:
    parse_job(content)


@pytest.mark.parametrize(("state", "shown"), [("success", b"success"), ("", b"unknown")])
def test_state_is_shown_where_it_is_known(state: str, shown: bytes) -> None:
    assert job_fields(JOB_ID, state) == (
        (b"X-TheEye-Job-Id", JOB_ID.encode()),
        (b"X-TheEye-Job-State", shown),
    )


def test_job_keeps_nothing_of_a_state_that_is_its_scripts_text() -> None:
    parsed = parse_job(finished(state="x" * 1_000_000))
    assert parsed is not None
    assert parsed.state == "success"


@pytest.mark.parametrize(
    ("members", "state"),
    [
        ({}, "success"),
        ({"default_state_evaluation": "failure"}, "failure"),
        ({"default_state_evaluation": "success"}, "success"),
        ({"default_state_evaluation": 7}, "success"),
        ({"task": {"default_state_evaluation": "failure"}}, "failure"),
        (
            {
                "default_state_evaluation": "success",
                "task": {"default_state_evaluation": "failure"},
            },
            "success",
        ),
        ({"task": "64ac0b46c06feba9b89ad795"}, "success"),
        ({"task": None}, "success"),
        ({"task": ["failure"]}, "success"),
        ({"task": {"default_state_evaluation": {}}}, "success"),
        ({"trigger_name": "timeout"}, "timeout"),
        ({"trigger_name": 1}, "success"),
    ],
)
def test_state_of_the_scripts_own_wording_is_evaluated(
    members: dict[str, object], state: str
) -> None:
    parsed = parse_job(finished(state="normal", **members))
    assert parsed is not None
    assert parsed.state == state


@pytest.mark.parametrize(
    ("secret", "kept"), [("0aF_-", "0aF_-"), ("a/b", ""), ("", ""), (None, ""), ("x" * 257, "")]
)
def test_secret_is_kept_where_it_can_stand_in_a_path(secret: object, kept: str) -> None:
    found = parse_job(job(secret=secret))
    assert found is not None
    assert found.secret == kept
    assert not kept or kept not in repr(found).replace(found.raw.decode(), "")


@pytest.mark.parametrize(
    ("created", "updated", "seconds"),
    [
        ("2026-11-24T13:15:48.992Z", "2026-11-24T13:15:49.282Z", 0.29),
        ("2026-11-24T23:59:59.000Z", "2026-11-25T00:00:01.000Z", 2.0),
        ("2026-11-24T13:15:48.992Z", "2026-11-24T13:15:49.282", None),
        ("2026-11-24T13:15:48.992Z", None, None),
        ("yesterday", "today", None),
        (1, 2, None),
    ],
)
def test_run_time_is_that_of_the_upstreams_clock(
    created: object, updated: object, seconds: float | None
) -> None:
    parsed = parse_job(finished(creation_date=created, last_update=updated, task_id="t"))
    assert parsed is not None
    assert parsed.task_id == "t"
    assert parsed.run_seconds == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("updated", "ended_at"),
    [
        ("2023-11-14T22:13:20.500Z", 1_700_000_000.5),
        ("2023-11-14T22:13:20", None),
        ("yesterday", None),
        (17, None),
    ],
)
def test_end_of_a_job_is_what_it_tells_with_a_time_zone(
    updated: object, ended_at: float | None
) -> None:
    parsed = parse_job(finished(last_update=updated))
    assert parsed is not None
    assert parsed.ended_at == ended_at
