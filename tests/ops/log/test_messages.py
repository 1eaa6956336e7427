from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ops.log.access_log import PIECE_BYTES
from gateway.ops.log.messages import MESSAGE_BYTES, MessageForm

Form = Literal["json", "text"]
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJvcmciOiJhY21lIn0.c2lnbmF0dXJl"
HOSTILE = st.text(
    st.one_of(st.characters(), st.sampled_from('\n\r\x0b\x0c\x1c\x85\u2028\x1b"\\\x00\udc80')),
    max_size=400,
)


def record(
    message: str, *arguments: object, failure: BaseException | None = None
) -> logging.LogRecord:
    told = None if failure is None else (type(failure), failure, failure.__traceback__)
    made = logging.LogRecord(
        "gateway.part", logging.WARNING, "part.py", 7, message, arguments or None, told
    )
    made.created = 1_700_000_000.25
    return made


def failed(text: str) -> Exception:
    try:
        # Compiled coroutines of other tests, left while they handled an exception, show it to all.
        raise ValueError(text) from None
    except ValueError as failure:
        return failure


def written(form: Form, made: logging.LogRecord, worker: int = 0) -> str:
    return MessageForm(form, worker).format(made)


def test_message_is_one_json_object() -> None:
    assert json.loads(written("json", record("lost %s", "Redis"))) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "gateway.part",
        "message": "lost Redis",
    }


def test_message_is_one_line_of_text() -> None:
    assert written("text", record("lost %s", "Redis")) == (
        "2023-11-14T22:13:20.250Z WARNING gateway.part: lost Redis"
    )


def test_message_names_the_worker_where_there_are_several() -> None:
    assert json.loads(written("json", record("lost"), 3))["worker"] == 3
    assert written("text", record("lost"), 3).endswith("gateway.part: worker 3: lost")


def test_time_has_its_zone() -> None:
    for form in ("json", "text"):
        line = written(form, record("lost"))
        time = json.loads(line)["time"] if form == "json" else line.split()[0]
        assert datetime.fromisoformat(time).timestamp() == 1_700_000_000.25


def test_exception_is_told_with_its_traceback_but_no_underlining() -> None:
    made = record("lost", failure=failed("no such thing"))
    exception = json.loads(written("json", made))["exception"]
    assert exception.startswith("Traceback (most recent call last):\n")
    assert exception.endswith("\nValueError: no such thing")
    assert "^^" not in exception
    first, *others = written("text", made).split("\n")
    assert first.endswith(": lost")
    assert others == [f"    {line}" for line in exception.split("\n")]


def test_exception_that_is_being_handled_by_nobody_is_none() -> None:
    made = record("lost")
    made.exc_info = (None, None, None)
    assert "exception" not in json.loads(written("json", made))


def test_message_that_does_not_fit_its_arguments_is_told() -> None:
    assert json.loads(written("json", record("lost %d", "x")))["message"] == "lost %d"
    assert json.loads(written("json", record("lost", "x")))["message"] == "lost"


@given(text=HOSTILE)
def test_message_is_one_line_whatever_a_client_said(text: str) -> None:
    for form in ("json", "text"):
        line = written(form, record("refused: %s", text))
        assert len(line.splitlines()) == 1
        assert line.isprintable() or form == "json"
        assert len(line.encode()) <= PIECE_BYTES
    json.loads(written("json", record("refused: %s", text)))


@given(text=HOSTILE)
def test_no_line_begins_with_what_a_client_said(text: str) -> None:
    failure = failed(f"\n{text}\n2023-11-14T22:13:20.250Z ERROR gateway: forged")
    made = record("failed", failure=failure)
    assert len(written("json", made).splitlines()) == 1
    first, *others = written("text", made).splitlines()
    assert first.endswith(" WARNING gateway.part: failed")
    assert all(line.startswith("    ") for line in others)
    assert all(line.isprintable() for line in others)


@given(text=st.text(max_size=20), times=st.integers(1, 5000))
@pytest.mark.no_cover
def test_message_fits_one_atomic_write_however_long_it_is(text: str, times: int) -> None:
    long = (text or "x") * times
    for form in ("json", "text"):
        line = written(form, record(long, failure=failed(long)), 255)
        assert len(line.encode()) < PIECE_BYTES
    told = json.loads(written("json", record(long)))
    assert len(json.dumps(told["message"])) <= MESSAGE_BYTES


def test_exception_that_is_too_long_keeps_its_beginning_and_its_end() -> None:
    exception = json.loads(written("json", record("lost", failure=failed("x" * 9000 + "end"))))
    assert exception["exception"].startswith("Traceback")
    assert " [...] " in exception["exception"]
    assert exception["exception"].endswith("xend")


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "said",
    [
        TOKEN,
        "Bearer s3cret",
        "/job?access_token=s3cret&parse",
        "/task/t1/secret/s3cret/job",
        "https://user:s3cret@host/x",
        "{'secret': 's3cret'}",
        '{"token":"s3cret"}',
    ],
)
def test_no_message_shows_a_token(form: Form, said: str) -> None:
    for made in (record("refused: %s", said), record("failed", failure=failed(said))):
        assert "s3cret" not in written(form, made)
        assert "c2lnbmF0dXJl" not in written(form, made)


def test_form_can_be_another_one_for_messages_to_come() -> None:
    form = MessageForm("json", 3)
    assert json.loads(form.format(record("one")))["worker"] == 3
    form.reconfigure("text")
    assert form.format(record("two")).endswith("WARNING gateway.part: worker 3: two")
