"""Requests as they are read from bytes, however those were split, and what is no request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.downstream.messages.request_reader import MOST_FIELDS, RequestReader

if TYPE_CHECKING:
    from gateway.errors import Field

TARGET_BYTES, FIELDS_BYTES = 1000, 2000
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


@dataclass
class Read:
    method: str
    target: str
    fields: tuple[Field, ...]
    content: bytes = b""


class Requests:
    """What a reader makes of bytes, as a connection would use it."""

    def __init__(self) -> None:
        self.reader = RequestReader(TARGET_BYTES, FIELDS_BYTES)
        self.complete: list[Read] = []
        self._content = b""

    def feed(self, data: bytes) -> None:
        at, reader = 0, self.reader
        while at < len(data) and reader.failure is None:
            end = reader.read(data, at)
            assert at < end <= len(data)
            at = end
            self._content += b"".join(reader.take())
            if reader.is_complete:
                head = reader.head
                assert head is not None
                read = Read(head.method, head.target, head.fields, self._content)
                self.complete.append(read)
                self._content = b""
                reader.begin()


def read(*data: bytes) -> Requests:
    requests = Requests()
    for piece in data:
        requests.feed(piece)
    return requests


def refused(*data: bytes) -> tuple[int, str]:
    """The status and the words for what cannot be read."""
    failure = read(*data).reader.failure
    assert failure is not None
    return failure.status, failure.message


HOST = (b"Host", b"x")
KNOWN: list[tuple[bytes, Read]] = [
    (GET + b"\r\n", Read("GET", "/", (HOST,))),
    (b"\r\n\r\n" + GET + b"\r\n", Read("GET", "/", (HOST,))),
    (
        b"PROPFIND /a?b HTTP/1.1\r\nA:  b c \t\r\nEmpty:\r\na: \xff\r\n\r\n",
        Read("PROPFIND", "/a?b", ((b"A", b"b c"), (b"Empty", b""), (b"a", b"\xff"))),
    ),
    (
        POST + b"Content-Length: 5\r\n\r\n\r\n\r\n!",
        Read("POST", "/", (HOST, (b"Content-Length", b"5")), b"\r\n\r\n!"),
    ),
    (
        CHUNKED + b"3;a=b\r\nabc\r\n2\r\n\r\n\r\n0\r\nTrailer: x\r\n\r\n",
        Read("POST", "/", (HOST, (b"Transfer-Encoding", b"chunked")), b"abc\r\n"),
    ),
    (
        POST + UPGRADE + b"Content-Length: 2\r\n\r\nhi",
        Read(
            "POST",
            "/",
            (HOST, (b"Connection", b"Upgrade"), (b"Upgrade", b"h2c"), (b"Content-Length", b"2")),
            b"hi",
        ),
    ),
    (
        CHUNKED.replace(b"\r\n\r\n", b"\r\n" + UPGRADE + b"\r\n") + b"1\r\nx\r\n0\r\n\r\n",
        Read(
            "POST",
            "/",
            (
                HOST,
                (b"Transfer-Encoding", b"chunked"),
                (b"Connection", b"Upgrade"),
                (b"Upgrade", b"h2c"),
            ),
            b"x",
        ),
    ),
    (
        GET + UPGRADE + b"\r\n",
        Read("GET", "/", (HOST, (b"Connection", b"Upgrade"), (b"Upgrade", b"h2c"))),
    ),
]


@st.composite
def split_requests(draw: st.DrawFn) -> tuple[list[Read], list[bytes]]:
    chosen = draw(st.lists(st.sampled_from(KNOWN), min_size=1, max_size=4))
    data = b"".join(sent for sent, _ in chosen)
    cuts = sorted(draw(st.sets(st.integers(1, len(data) - 1), max_size=8)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [known for _, known in chosen], pieces


@given(split_requests())
def test_requests_are_the_same_however_they_are_split(
    split: tuple[list[Read], list[bytes]],
) -> None:
    known, pieces = split
    requests = read(*pieces)
    assert requests.complete == known
    assert requests.reader.failure is None
    assert requests.reader.head is None


@pytest.mark.parametrize(("sent", "known"), KNOWN)
def test_request_may_be_cut_anywhere_before_another(sent: bytes, known: Read) -> None:
    """The second piece has its end and the next one whole: what ends it may come in part."""
    follower, whole = KNOWN[0]
    for cut in range(1, len(sent)):
        assert read(sent[:cut], sent[cut:] + follower).complete == [known, whole], cut


@pytest.mark.parametrize(("sent", "known"), KNOWN)
def test_request_may_come_byte_by_byte(sent: bytes, known: Read) -> None:
    assert read(*[bytes([byte]) for byte in sent]).complete == [known]


STRICT = {  # by RFC and section
    "9112 2.2 bare line feed behind the version": b"GET / HTTP/1.1\nHost: x\r\n\r\n",
    "9112 2.2 bare line feed behind a field": GET + b"A: b\nC: d\r\n\r\n",
    "9112 2.2 bare line feed for the empty line": GET + b"\n",
    "9112 2.2 bare carriage return": GET + b"A: b\rC: d\r\n\r\n",
    "9112 2.2 two carriage returns": GET + b"A: b\r\r\n\r\n",
    "9112 5.2 folded line": GET + b"A: b\r\n c\r\n\r\n",
    "9112 5.2 folded with a tab": GET + b"A: b\r\n\tc\r\n\r\n",
    "9112 2.2 white space before the first field": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    "9112 5.1 space before the colon": GET + b"A : b\r\n\r\n",
    "9112 5.1 tab before the colon": GET + b"A\t: b\r\n\r\n",
    "9112 5 no colon": GET + b"A\r\n\r\n",
    "9112 5 no name": GET + b": b\r\n\r\n",
    "9112 5 name that is no token": GET + b"A(: b\r\n\r\n",
    "9110 5.5 NUL in a value": GET + b"A: b\x00\r\n\r\n",
    "9110 5.5 control character in a value": GET + b"A: b\x01\r\n\r\n",
    "9110 5.5 DEL in a value": GET + b"A: b\x7f\r\n\r\n",
    "9112 3.2 control character in a target": b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "9112 3.2 tab in a target": b"GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n",
    "9112 3.2 target that is not ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "9112 3.2 no target": b"GET HTTP/1.1\r\nHost: x\r\n\r\n",
    "9112 2.3 version that is none": b"GET / HTTP/1.2\r\nHost: x\r\n\r\n",
    "9112 2.3 version of one digit": b"GET / HTTP/1\r\nHost: x\r\n\r\n",
    "9112 2.3 version of lower case": b"GET / http/1.1\r\nHost: x\r\n\r\n",
    "9112 3 space behind the version": b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
    "9112 2.3 preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "9112 3.1 method of RTSP": b"DESCRIBE / HTTP/1.1\r\nHost: x\r\n\r\n",
    "9112 3 TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "9112 6.2 length with a sign": POST + b"Content-Length: +4\r\n\r\n",
    "9112 6.2 negative length": POST + b"Content-Length: -4\r\n\r\n",
    "9112 6.2 length with an underscore": POST + b"Content-Length: 1_0\r\n\r\n",
    "9112 6.2 length in hexadecimal": POST + b"Content-Length: 0x4\r\n\r\n",
    "9112 6.2 length with a space in it": POST + b"Content-Length: 1 0\r\n\r\n",
    "9112 6.2 empty length": POST + b"Content-Length: \r\n\r\n",
    "9112 6.2 list of lengths": POST + b"Content-Length: 4, 4\r\n\r\n",
    "9112 6.2 length twice": POST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\n",
    "9112 6.2 length of 19 digits": POST + b"Content-Length: 0000000000000000004\r\n\r\n",
    "9112 6.2 length that overflows": POST + b"Content-Length: 18446744073709551620\r\n\r\n",
    "9112 6.3 length and coding": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
    "9112 6.3 coding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
    "9112 6.1 coding twice": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "9112 6.3 chunked but not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
    "9112 6.1 coding that is not known": POST + b"Transfer-Encoding: xchunked\r\n\r\n",
    "6455 4.1 handshake of a draft": GET
    + UPGRADE
    + b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n\r\n",
    **{
        f"9110 5.3 {name.decode()} twice": GET + name + b": a\r\n" + name.lower() + b": a\r\n\r\n"
        for name in (
            *(b"Host", b"Content-Type", b"Content-Location", b"Content-Range", b"ETag"),
            *(b"Max-Forwards", b"Server", b"User-Agent"),
        )
    },
}


@pytest.mark.parametrize("sent", STRICT.values(), ids=STRICT.keys())
def test_head_that_others_could_read_differently_is_refused(sent: bytes) -> None:
    for requests in (read(sent), read(*[bytes([byte]) for byte in sent])):
        failure = requests.reader.failure
        assert failure is not None
        assert failure.status == 400
        assert requests.reader.head is None
        assert requests.complete == []


BROKEN = {  # by RFC and section
    "9112 7.1 no size": b"\r\nabc\r\n0\r\n\r\n",
    "9112 7.1 size in a word": b"zz\r\n",
    "9112 7.1 size with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "9112 7.1 negative size": b"-1\r\n",
    "9112 7.1 size with an underscore": b"1_0\r\n",
    "9112 7.1 size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "9112 7.1 space before the size": b" 3\r\nabc\r\n0\r\n\r\n",
    "9112 7.1 space behind the size": b"3 \r\nabc\r\n0\r\n\r\n",
    "9112 7.1 size that overflows": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "9112 7.1 bare line feed behind the size": b"3\nabc\r\n0\r\n\r\n",
    "9112 7.1.1 bare line feed behind an extension": b"3;a\nabc\r\n0\r\n\r\n",
    "9112 7.1 bare line feed behind a chunk": b"3\r\nabc\n0\r\n\r\n",
    "9112 7.1 longer than its size": b"3\r\nabcXX0\r\n\r\n",
    "9112 7.1.1 control character in an extension": b'3;a="\x01"\r\nabc\r\n0\r\n\r\n',
    "9112 7.1.2 no trailer": b"0\r\nno trailer\r\n\r\n",
    "9110 6.5.1 length as a trailer": b"0\r\nContent-Length: 9\r\n\r\n",
    "9110 6.5.1 coding as a trailer": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "9110 6.5.1 host as a trailer": b"0\r\nhost: y\r\n\r\n",
    "9112 7.1 bare line feed at the end": b"0\r\n\n",
}


@pytest.mark.parametrize("rest", BROKEN.values(), ids=BROKEN.keys())
def test_content_that_is_framed_otherwise_is_refused(rest: bytes) -> None:
    for requests in (read(CHUNKED + rest), read(CHUNKED, *[bytes([byte]) for byte in rest])):
        failure = requests.reader.failure
        assert failure is not None
        assert failure.status == 400
        assert requests.reader.head is not None
        assert requests.complete == []


@pytest.mark.parametrize(
    ("line", "version"),
    [
        (b"GET / HTTP/1.1", (1, 1)),
        (b"GET / HTTP/1.0", (1, 0)),
        (b"GET / HTTP/2.0", (0, 0)),
        (b"GET / HTTP/0.9", (0, 0)),
        (b"GET /", (0, 0)),
        (b"GET / RTSP/1.1", (0, 0)),
        (b"SOURCE / ICE/1.1", (0, 0)),
        (b"\r\nGET / HTTP/1.1", (1, 1)),
        (b"\n\n\r\nGET / RTSP/1.0", (0, 0)),
        (b"GET /\nA: HTTP/1.1", (0, 0)),
        (b"GET  / HTTP/1.1", (0, 0)),
        (b"GET /  HTTP/1.1", (0, 0)),
    ],
)
@pytest.mark.parametrize("field", [b"Host: x", b"A:  HTTP/1.1"])
def test_rfc_9112_2_3_version_is_that_of_the_first_line(
    line: bytes, version: tuple[int, int], field: bytes
) -> None:
    reader = RequestReader(TARGET_BYTES, FIELDS_BYTES)
    message = line + b"\r\n" + field + b"\r\n\r\n"
    at = 0
    while at < len(message):
        at = reader.read(message, at)
    assert reader.head is not None
    assert reader.head.version == version


def test_nothing_behind_a_request_is_looked_at() -> None:
    reader = RequestReader(TARGET_BYTES, FIELDS_BYTES)
    whole = GET + b"\r\n"
    assert reader.read(whole + b"\x00", 0) == len(whole)
    assert reader.is_complete
    assert reader.failure is None


def test_rfc_9112_9_6_last_request_says_so() -> None:
    reader = RequestReader(TARGET_BYTES, FIELDS_BYTES)
    reader.read(GET + b"Connection: close\r\n\r\n", 0)
    assert reader.head is not None
    assert not reader.head.keeps_alive


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_rfc_9112_3_target_is_bounded(size: int) -> None:
    longest = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * (TARGET_BYTES - 1))
    assert len(read(longest).complete) == 1
    message = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * TARGET_BYTES)
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    assert refused(*pieces) == (414, "The request target has more than 1000 bytes")


@pytest.mark.parametrize("size", [1, 100, 10_000])
@pytest.mark.parametrize(
    "rest", [b"A: " + b"a" * 4000, b"aaa: b\r\n" * 200 + b"A: " + b"a" * 2000, b"a" * 4000]
)
def test_rfc_6585_5_head_without_end_is_refused_as_soon_as_it_is_too_long(
    rest: bytes, size: int
) -> None:
    message = GET + rest
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    assert refused(*pieces) == (431, "The request's fields have more than 2000 bytes")


def test_empty_lines_are_bounded() -> None:
    assert refused(*[b"\r\n"] * 2000)[0] == 431


@pytest.mark.parametrize("lines", [b"\r\n", b"\r\n" * 200, b"\n" * 200])
def test_rfc_9112_2_2_empty_lines_are_read_at_once_with_the_head_behind_them(lines: bytes) -> None:
    message = lines + GET + b"\r\n"
    for size in (len(message), 1, 3):
        reader = RequestReader(TARGET_BYTES, FIELDS_BYTES)
        reads = 0
        for start in range(0, len(message), size):
            piece, at = message[start : start + size], 0
            while at < len(piece):
                at = reader.read(piece, at)
                reads += 1
        assert reader.is_complete
        assert reads == -(-len(message) // size)


def test_rfc_6585_5_fields_are_counted() -> None:
    most = b"a: b\r\n" * (MOST_FIELDS - 1)
    assert len(read(GET + most + b"\r\n").complete) == 1
    message = "The request has more than 256 fields"
    assert refused(GET + most + b"a: b\r\n\r\n") == (431, message)


@pytest.mark.parametrize("trailer", [b"A: " + b"a" * 5000, b"a: b\r\n" * 1000])
def test_trailers_are_bounded(trailer: bytes) -> None:
    assert refused(CHUNKED + b"1\r\na\r\n0\r\n" + trailer)[0] == 400


def test_rfc_9112_7_1_1_chunk_extensions_are_bounded() -> None:
    assert refused(CHUNKED, *[b"1;" + b"e" * 1500 + b"\r\na\r\n"] * 20)[0] == 400


@pytest.mark.parametrize(
    "framed", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_content_is_not_bounded(framed: bytes) -> None:
    content = b"x" * 100_000
    sent = content if b"Length" in framed else b"186a0\r\n" + content + b"\r\n0\r\n\r\n"
    requests = read(POST + framed, *[sent[at : at + 1000] for at in range(0, len(sent), 1000)])
    assert [request.content for request in requests.complete] == [content]


def test_rfc_9110_9_3_6_what_follows_a_connect_is_not_its_content() -> None:
    reader = RequestReader(TARGET_BYTES, FIELDS_BYTES)
    head = b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    assert reader.read(head + b"abc", 0) == len(head)
    assert reader.is_complete
