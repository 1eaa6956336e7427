"""Answers read from bytes, without a socket. With one: test_client.py."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BadGateway, ContentCut
from gateway.upstream.messages import response_state as states
from gateway.upstream.messages.response_reader import ResponseReader, StaleConnection

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x="y"\r\nhel\r\n2\r\nlo\r\n0\r\n'
    b"T: 1\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"
SWITCHING = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x01"


def reading(*pieces: bytes, method: str = "GET", upgrade: bool = False) -> ResponseReader:
    reader = ResponseReader()
    reader.expect(method, upgrade=upgrade)
    for piece in pieces:
        reader.feed(piece)
    return reader


def content(reader: ResponseReader) -> bytes:
    """All that can be taken; raises what ``take`` raises."""
    taken = b""
    while chunk := reader.take():
        taken += chunk
    return taken


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


@given(
    cuts=st.lists(st.integers(0, 500), max_size=20),
    answers=st.lists(st.sampled_from([SIZED, CHUNKED]), min_size=1, max_size=3),
)
def test_answers_read_the_same_however_their_bytes_are_split(
    cuts: list[int], answers: list[bytes]
) -> None:
    reader = ResponseReader()
    for response in answers:
        reader.expect("GET")
        for piece in pieces_of(b"HTTP/1.1 102 Wait\r\nA: b\r\n\r\n" + response, cuts):
            reader.feed(piece)
        assert reader.head is not None
        assert (reader.head.status, reader.head.reason) == (200, b"OK")
        assert len(reader.head.fields) == 1
        assert content(reader) == b"hello"
        assert reader.is_complete
        assert reader.is_reusable
        assert reader.content.size == 0


@given(response=st.sampled_from([SIZED, CHUNKED, UNTIL_CLOSE]), cut=st.integers(0, 80))
def test_rfc_9112_8_an_answer_that_ends_early_is_never_complete(response: bytes, cut: int) -> None:
    end = response.index(b"\r\n\r\n") + 4
    stop = min(cut, len(response) - 1)
    reader = reading(response[:stop])
    reader.feed_eof()
    reader.lost()
    if stop < end:
        assert isinstance(reader.failure, BadGateway)
    elif response is UNTIL_CLOSE:
        assert content(reader) == response[end:stop]
        assert reader.is_complete
    else:
        with pytest.raises(ContentCut):
            content(reader)
    assert not reader.is_reusable


@pytest.mark.parametrize(
    "extra", [SIZED, b"x", b"\r\n\r\nGET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
)
@pytest.mark.parametrize("later", [False, True])
def test_rfc_9112_9_2_bytes_nobody_asked_for_spoil_the_connection_but_not_the_answer(
    extra: bytes, later: bool
) -> None:
    reader = reading(SIZED, extra) if later else reading(SIZED + extra)
    assert content(reader) == b"hello"
    assert not reader.is_reusable or reader.failure is not None


@pytest.mark.parametrize(
    ("response", "is_reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=7\r\n\r\n", True),
    ],
)
def test_rfc_9112_9_3_a_connection_is_kept_only_as_the_upstream_says(
    response: bytes, is_reusable: bool
) -> None:
    reader = reading(response)
    assert reader.is_complete
    assert reader.is_reusable is is_reusable
    assert reader.keepalive_hint == (7.0 if b"timeout" in response else None)


def test_a_kept_connection_closed_before_an_answer_was_stale() -> None:
    reader = reading(SIZED)
    content(reader)
    reader.expect("GET")
    reader.lost()
    assert isinstance(reader.failure, StaleConnection)


def test_rfc_9110_7_8_after_a_granted_upgrade_bytes_pass_as_they_are() -> None:
    switching = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    reader = reading(switching + b"\x81\x01", b"a", upgrade=True)
    assert content(reader) == b"\x81\x01a"
    assert not reader.is_complete
    reader.feed_eof()
    assert reader.take() == b""
    assert not reader.is_reusable


def test_rfc_9110_7_8_an_upgrade_nobody_asked_for_is_no_answer() -> None:
    switching = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    reader = reading(switching)
    assert reader.head is None
    assert isinstance(reader.failure, BadGateway)


@pytest.mark.parametrize("upgrade", [False, True])
@pytest.mark.parametrize("fields", [b"", b"Upgrade: x\r\n", b"Connection: upgrade\r\n"])
def test_rfc_9110_7_8_a_101_that_names_no_protocol_is_no_answer(
    fields: bytes, upgrade: bool
) -> None:
    """Whoever switches says so in Upgrade and Connection."""
    reader = reading(b"HTTP/1.1 101 S\r\n" + fields + b"\r\n", upgrade=upgrade)
    assert reader.head is None
    assert isinstance(reader.failure, BadGateway)


def lines_of(reader: ResponseReader) -> list[tuple[bytes, bytes]]:
    assert reader.head is not None
    return list(reader.head.fields)


@given(
    cuts=st.lists(st.integers(0, 200), max_size=20),
    interim=st.sampled_from([b"", b"HTTP/1.1 103 Early\r\nLink : a\r\n\r\n"]),
    spaces=st.sampled_from([b"", b" ", b"\t  "]),
)
def test_rfc_9112_5_1_space_before_the_colon_of_a_field_is_removed_however_the_head_is_split(
    cuts: list[int], interim: bytes, spaces: bytes
) -> None:
    """A proxy removes it from a response. Content stays as it is."""
    reader = ResponseReader()
    for _ in range(2):
        reader.expect("GET")
        response = (
            b"HTTP/1.1 200 a : b\r\nX-A%b: b : c\r\nX-B: c\r\n"
            b"Content-Length%b: 10\r\n\r\n\nX-A : b\r\n"
        ) % (spaces, spaces)
        for piece in pieces_of(interim + response, cuts):
            reader.feed(piece)
        assert lines_of(reader) == [(b"X-A", b"b : c"), (b"X-B", b"c"), (b"Content-Length", b"10")]
        assert content(reader) == b"\nX-A : b\r\n"
        assert reader.is_reusable


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length : 2\r\nContent-Length: 3",
        b"Content-Length : 2\r\nTransfer-Encoding: chunked",
        b"A : b\r\n folded",
        b"A : b\x00",
        b"A b : c",
        b" : b",
        b"A : b\r\nno colon",
    ],
)
def test_head_that_has_other_faults_beside_that_space_is_no_answer(fields: bytes) -> None:
    reader = reading(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\nok")
    assert isinstance(reader.failure, BadGateway)
    assert reader.head is None


def test_head_with_such_a_space_is_bounded_like_any_other() -> None:
    reader = reading(b"HTTP/1.1 200 OK\r\nA : b\r\n", *[b"B: " + b"x" * 1000 + b"\r\n"] * 70)
    assert isinstance(reader.failure, BadGateway)


def test_rfc_9112_5_1_websocket_is_granted_with_such_a_space_too() -> None:
    switching = b"HTTP/1.1 101 Go\r\nConnection : upgrade\r\nUpgrade : websocket\r\n\r\n"
    reader = reading(switching + b"\x81\x01", b"a", upgrade=True)
    assert content(reader) == b"\x81\x01a"


@pytest.mark.parametrize(
    ("fields", "is_reusable"),
    [
        (b"Content-Length: 0\r\n", True),
        (b"Content-Length: 5\r\n", False),
        (b"Transfer-Encoding: chunked\r\n", False),
    ],
)
@pytest.mark.parametrize("rest", [b"", b"hello", b"0\r\n\r\n"])
def test_rfc_9110_8_6_204_has_no_length_and_nothing_behind_it_is_an_answer(
    fields: bytes, is_reusable: bool, rest: bytes
) -> None:
    """No Content-Length in a 204. What was meant by one may still come."""
    reader = reading(b"HTTP/1.1 204 No Content\r\nA: b\r\n" + fields + b"\r\n" + rest)
    assert reader.head is not None
    assert reader.head.passed_on() == [(b"A", b"b")]
    assert reader.take() == b""
    assert reader.is_reusable is (is_reusable and not rest)


def test_rfc_9110_8_6_101_has_no_length() -> None:
    fields = b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\nA: b\r\n"
    reader = reading(b"HTTP/1.1 101 Go\r\n" + fields + b"\r\nab", upgrade=True)
    assert reader.head is not None
    assert reader.head.passed_on() == [(b"A", b"b")]
    assert content(reader) == b"ab"


@pytest.mark.parametrize(
    ("beginning", "endless"),
    [
        (b"0\r\nT: ", b"x" * 1000),
        (b"0\r\n", b"T: " + b"x" * 1000 + b"\r\n"),
        (b"5;", b"x" * 1000),
    ],
)
def test_trailers_and_chunk_extensions_that_never_end_break_the_answer_off(
    beginning: bytes, endless: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
    reader = reading(head, beginning, *[endless] * 70)
    with pytest.raises(ContentCut):
        content(reader)


def test_content_in_tiny_chunks_counts_with_what_it_takes_in_memory() -> None:
    """Else a buffer that is bounded by its bytes would hold some thirty times as much."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"2\r\nok\r\n" * 10_000
    reader = reading(head)
    tracemalloc.start()
    try:
        reader.feed(chunks)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / 2 < reader.content.size < kept * 2
    assert content(reader) == b"ok" * 10_000
    assert reader.content.size == 0


def test_rfc_9110_15_2_endless_interim_answers_are_no_answer() -> None:
    reader = reading(*[b"HTTP/1.1 100 Continue\r\nA: " + b"x" * 1000 + b"\r\n\r\n"] * 70)
    assert isinstance(reader.failure, BadGateway)


@given(data=st.binary(max_size=200), eof=st.booleans())
def test_no_bytes_make_the_reader_fail(data: bytes, eof: bool) -> None:
    reader = reading(b"HTTP/1.1 200 OK\r\n" + data)
    if eof:
        reader.feed_eof()
    reader.lost()
    assert reader.is_complete or reader.failure is not None
    assert not reader.is_reusable


def test_content_that_nobody_took_is_none_of_the_next_answer() -> None:
    reader = reading(SIZED)
    reader.expect("GET")
    assert reader.take() is None
    assert reader.content.size == 0


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
STREAMS = st.sampled_from([SIZED, CHUNKED, UNTIL_CLOSE, INTERIM, SWITCHING])
BYTES = st.one_of(
    STREAMS,
    st.tuples(STREAMS, st.integers(0, 90)).map(lambda cut: cut[0][: cut[1]]),
    st.tuples(STREAMS, st.integers(0, 90)).map(lambda cut: cut[0][cut[1] :]),
    st.binary(max_size=20),
).filter(len)
"""Transports hand over no empty data."""
EVENTS = st.sampled_from(["expect", "feed_eof", "lost", "fail", "take", "take_all"])


@settings(max_examples=500)
@given(
    steps=st.lists(st.one_of(BYTES, EVENTS), max_size=12),
    method=st.sampled_from(["GET", "HEAD"]),
    upgrade=st.booleans(),
)
def test_every_order_of_events_keeps_to_the_table(
    steps: list[bytes | str], method: str, upgrade: bool
) -> None:
    reader = ResponseReader()
    for step in steps:
        match step:
            case bytes():
                must_close = reader.feed(step)
                assert must_close or reader.state not in {states.SPENT, states.FAILED}
            case "expect":
                if reader.state in {states.IDLE, states.WHOLE}:
                    reader.expect(method, upgrade=upgrade)
                else:
                    with pytest.raises(AssertionError):
                        reader.expect(method, upgrade=upgrade)
            case "fail":
                reader.fail(ContentCut("given up"))
            case "take":
                is_at_end = reader.is_complete and not reader.content.size
                with suppress(BadGateway, ContentCut, StaleConnection):
                    assert (reader.take() == b"") is is_at_end
            case "take_all":
                assert (reader.take_all() is not None) is reader.is_complete
            case _:
                getattr(reader, step)()
        assert (reader.failure is not None) is (reader.state is states.FAILED)
        has_head = reader.state in {states.CONTENT, states.TUNNEL, states.WHOLE, states.SPENT}
        assert not has_head or reader.head is not None
        assert reader.state is not states.AWAITED or not reader.content.size
        assert not reader.is_complete or reader.is_reusable is (reader.state is states.WHOLE)
