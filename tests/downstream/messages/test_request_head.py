"""What is made of a head beyond its grammar: tests/downstream/messages/test_request_reader.py."""

from __future__ import annotations

import pytest

from gateway.downstream.messages.request_head import RequestHead, completed_head
from gateway.downstream.messages.request_reader import RequestReader

LINE = b"POST / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("field", "has_content"),
    [
        ((b"Content-Length", b"0"), False),
        ((b"Content-Length", b"00"), False),
        ((b"content-length", b"1"), True),
        ((b"Transfer-Encoding", b"chunked"), True),
        ((b"A", b"b"), False),
    ],
)
def test_rfc_9112_6_content_follows_where_it_is_announced(
    field: tuple[bytes, bytes], has_content: bool
) -> None:
    head = completed_head(LINE + b"\r\n", b"POST", b"/", [field], keeps_alive=True)
    assert head.has_content is has_content


@pytest.mark.parametrize(
    ("field", "content"),
    [((b"Content-Length", b"12"), b"twelve bytes"), ((b"Transfer-Encoding", b"chunked"), None)],
)
def test_framing_is_all_that_a_parser_needs_to_read_the_content(
    field: tuple[bytes, bytes], content: bytes | None
) -> None:
    head = completed_head(LINE + b"\r\n", b"POST", b"/", [field], keeps_alive=True)
    sent = content or b"c\r\ntwelve bytes\r\n0\r\n\r\n"
    reader = RequestReader(1000, 1000)
    for piece in (head.framing(), sent):
        at = 0
        while at < len(piece):
            at = reader.read(piece, at)
    assert b"".join(reader.take()) == b"twelve bytes"
    assert reader.is_complete


def test_what_could_not_be_read_keeps_no_connection() -> None:
    head = RequestHead.of_none()
    assert (head.method, head.target, head.fields) == ("UNKNOWN", "/", ())
    assert not head.keeps_alive
    assert not head.has_content
