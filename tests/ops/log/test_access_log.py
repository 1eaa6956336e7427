from __future__ import annotations

import io
import json
import logging
import os
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.identity.identities import Identity
from gateway.downstream.exchange import Exchange, Kind, Outcome
from gateway.ops.log.access_log import PIECE_BYTES, AccessLog
from gateway.ops.log.fields import FIELDS
from tests.support.records import exchange
from tests.support.traced import NotedSpans, traced, tracer

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJvcmciOiJhY21lIn0.c2lnbmF0dXJl"
JOB = "64ac6478646bb71ee82e3a72"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
Form = Literal["json", "text"]


def logged(observed: Exchange, form: Form = "json") -> str:
    stream = io.StringIO()
    log = AccessLog(stream, form, lambda: 1_700_000_000.25)
    log.observe(observed)
    log.close()
    return stream.getvalue()


def held() -> Exchange:
    return exchange(
        "POST",
        f"/job/{JOB}/result?access_token={TOKEN}&counter=1",
        kind=Kind.RESULT,
        outcome=Outcome.DRAINED,
        status=303,
        finished=103.5,
        held_seconds=3.25,
        upstream_status=200,
        upstream_seconds=0.125,
        bytes_in=2,
        bytes_out=1653,
        job_id=JOB,
        fields=[(b"User-Agent", b"curl/8.14.1"), (b"traceparent", TRACEPARENT)],
    )


def test_log_tells_all_of_a_request_in_one_json_line() -> None:
    line = logged(held())
    assert line.endswith("}\n")
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "request_id": "r1",
        "trace_id": TRACE,
        "kind": "result",
        "method": "POST",
        "target": f"/job/{JOB}/result?access_token=***&counter=1",
        "status": 303,
        "outcome": "drained",
        "reason": "",
        "bytes_in": 2,
        "bytes_out": 1653,
        "handling_seconds": 0.25,
        "held_seconds": 3.25,
        "upstream_status": 200,
        "upstream_seconds": 0.125,
        "job_id": JOB,
        "limit": "",
        "token_hash": "",
        "organization": "",
        "user": "",
        "client": "192.0.2.7",
        "user_agent": "curl/8.14.1",
    }


def test_log_tells_the_same_in_one_text_line() -> None:
    told = json.loads(logged(held()), parse_float=str)
    expected = [f"{name}={'-' if value == '' else value}" for name, value in told.items()]
    assert logged(held(), "text") == " ".join(expected) + "\n"
    assert " job_id=- " in logged(exchange(), "text")


def named(name: str, *, is_verified: bool) -> Identity:
    return Identity(b"k" * 16, name, name, "", bytes(range(16)), is_verified)


@pytest.mark.parametrize("form", ["json", "text"])
def test_log_names_who_asked_only_as_far_as_that_is_proved(form: Form) -> None:
    known = logged(exchange(identity=named("acme", is_verified=True)), form)
    claimed = logged(exchange(identity=named("acme", is_verified=False)), form)
    assert known.count("acme") == 3
    assert claimed.count("acme") == 1
    for line in (known, claimed):
        assert "000102030405060708090a0b0c0d0e0f" in line


@given(name=st.text(max_size=300), form=st.sampled_from(["json", "text"]))
def test_log_stays_sound_whatever_a_verified_user_is_called(name: str, form: Form) -> None:
    line = logged(exchange(identity=named(name, is_verified=True)), form)
    assert line.isascii()
    assert line[:-1].isprintable()
    assert len(json.loads(line) if form == "json" else line.split()) == len(FIELDS)


def test_log_times_are_rfc_3339_whichever_way_the_clock_goes() -> None:
    told = [1_700_000_000.999, 1_700_000_001.0, 1_700_000_001.5, 1_700_000_001.5, 1_699_999_999.25]
    times = iter(told)
    stream = io.StringIO()
    log = AccessLog(stream, "json", lambda: next(times))
    for _ in told:
        log.observe(exchange())
    log.flush()
    shown = [json.loads(line)["time"] for line in stream.getvalue().splitlines()]
    assert [datetime.fromisoformat(time).timestamp() for time in shown] == told


@given(text=st.text(max_size=300), form=st.sampled_from(["json", "text"]))
def test_log_writes_one_sound_line_whatever_the_client_sent(text: str, form: Form) -> None:
    fields = [(name, text.encode("utf-8")) for name in (b"User-Agent", b"traceparent")]
    observed = exchange(
        text, text, request_id=text, address=text, job_id=text, fields=fields, status=400
    )
    line = logged(observed, form)
    assert line.endswith("\n")
    assert line.isascii()
    assert line[:-1].isprintable()
    if form == "json":
        assert json.loads(line)["status"] == 400
    else:
        pairs = line.split()
        assert [pair.split("=")[0] for pair in pairs][5:7] == ["target", "status"]
        assert len(pairs) == len(FIELDS)


def test_log_survives_bytes_that_are_no_utf_8() -> None:
    target = b"/caf\xe9".decode("utf-8", "surrogateescape")
    assert '"target":"/caf%E9"' in logged(exchange(target=target))


def test_log_line_fits_one_atomic_write_whatever_the_client_sent() -> None:
    long = '"\x00é' * 20_000
    identity = named(long, is_verified=True)
    line = logged(
        exchange(
            long,
            long,
            request_id=long,
            address=long,
            job_id=long,
            identity=identity,
            fields=[(b"User-Agent", long.encode())],
        )
    )
    assert len(line) <= PIECE_BYTES


@pytest.mark.parametrize("place", ["method", "target", "request_id", "address", "job_id"])
def test_log_hides_a_token_in_whatever_field_it_stands(place: str) -> None:
    assert "c2lnbmF0dXJl" not in logged(exchange(**{place: TOKEN}))


@pytest.mark.parametrize("said", [TOKEN, f"tool/1 Bearer {TOKEN}", f"tool?access_token={TOKEN}"])
def test_log_hides_a_token_in_the_name_of_a_program(said: str) -> None:
    assert "c2lnbmF0dXJl" not in logged(exchange(fields=[(b"User-Agent", said.encode())]))


@pytest.mark.parametrize(
    "lines",
    [[], [TRACEPARENT, TRACEPARENT], [TRACEPARENT.upper()], [b"\x00"], [b"00-" + b"0" * 32]],
)
def test_log_names_no_trace_where_none_is_named_rightly(lines: list[bytes]) -> None:
    line = logged(exchange(fields=[(b"traceparent", line) for line in lines]))
    assert json.loads(line)["trace_id"] == ""


def test_log_names_the_trace_that_the_gateway_began() -> None:
    trace = traced(tracer(NotedSpans()))
    line = logged(exchange(trace=trace))
    assert json.loads(line)["trace_id"] == trace.span.trace_id


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as stream:
        yield reading, stream
    os.close(reading)


def read_all(descriptor: int) -> bytes:
    content = b""
    while True:
        try:
            content += os.read(descriptor, 1 << 20)
        except BlockingIOError:
            return content


def test_log_drops_lines_rather_than_wait_for_a_reader_that_stands_still(
    pipe: tuple[int, io.TextIOWrapper], caplog: pytest.LogCaptureFixture
) -> None:
    reading, stream = pipe
    log = AccessLog(stream, "json", lambda: 0.0, capacity_bytes=32 * 1024)
    for _ in range(1000):
        log.observe(exchange())
    assert 0 < log.dropped < 1000
    written = 0
    for _ in range(20):
        log.flush()
        written += read_all(reading).count(b"\n")
    assert written == 1000 - log.dropped
    assert [record.getMessage() for record in caplog.records] == [
        f"{log.dropped} access log lines dropped"
    ]


def test_log_writes_whole_lines_in_each_piece(pipe: tuple[int, io.TextIOWrapper]) -> None:
    reading, stream = pipe
    log = AccessLog(stream, "json", lambda: 0.0)
    for _ in range(30):
        log.observe(exchange())
    log.flush()
    first = os.read(reading, PIECE_BYTES)
    assert first.count(b"{") >= 10
    assert all(json.loads(line) for line in (first + read_all(reading)).splitlines())


def test_log_writes_by_itself_before_its_owner_flushes() -> None:
    stream = io.StringIO()
    log = AccessLog(stream, "json", lambda: 0.0)
    log.observe(exchange())
    assert stream.getvalue() == ""
    for _ in range(100):
        log.observe(exchange())
    assert stream.getvalue() != ""


def test_log_goes_on_when_nobody_reads_any_more(caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        log = AccessLog(stream, "json", lambda: 0.0)
        log.observe(exchange())
        log.close()
    assert log.dropped == 1
    assert caplog.records[0].levelno == logging.WARNING


def test_log_gives_up_at_the_end_when_the_reader_stands_still(
    pipe: tuple[int, io.TextIOWrapper],
) -> None:
    _, stream = pipe
    log = AccessLog(stream, "json", lambda: 0.0, close_milliseconds=1)
    for _ in range(500):
        log.observe(exchange())
    log.close()
    assert 0 < log.dropped < 500
