"""Messages that two parties could read differently. On sockets: tests/e2e/test_passthrough.py."""

from __future__ import annotations

import pytest

from gateway.admission.message import check
from gateway.errors import BadRequest, Field, FieldsTooLarge

HOST: Field = (b"Host", b"h")


def test_an_ordinary_message_passes() -> None:
    check(
        [HOST, (b"X", b"a\tb \xff"), (b"Transfer-Encoding", b" Chunked")],
        is_http_1_1=True,
        fields_bytes=100,
    )
    check([], is_http_1_1=False, fields_bytes=100)


@pytest.mark.parametrize(
    ("fields", "is_http_1_1"),
    [
        ([], True),
        ([HOST, HOST], True),
        ([HOST, (b"host", b"x")], False),
        ([HOST, (b"X", b"a\x00")], True),
        ([HOST, (b"X", b"\x7f")], True),
        ([HOST, (b"Transfer-Encoding", b"gzip, chunked")], True),
        ([HOST, (b"Transfer-Encoding", b"chunked, chunked")], True),
        ([HOST, (b"Transfer-Encoding", b"")], True),
        ([HOST, (b"Transfer-Encoding", b"chunked"), (b"transfer-encoding", b"chunked")], True),
        ([HOST, (b"Transfer-Encoding", b"chunked")], False),
    ],
)
def test_an_ambiguous_message_is_refused(fields: list[Field], is_http_1_1: bool) -> None:
    with pytest.raises(BadRequest):
        check(fields, is_http_1_1=is_http_1_1, fields_bytes=1000)


def test_a_field_section_is_measured_as_a_whole() -> None:
    line = (b"X", b"x" * 95)
    check([HOST, line], is_http_1_1=True, fields_bytes=109)
    with pytest.raises(FieldsTooLarge, match="more than 108 bytes"):
        check([HOST, line], is_http_1_1=True, fields_bytes=108)
