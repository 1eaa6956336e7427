"""Messages that two parties could read differently. On sockets: tests/e2e/test_passthrough.py."""

from __future__ import annotations

import pytest

from gateway.errors import BadRequest, Field, FieldsTooLarge
from gateway.protocols.http import framing
from gateway.protocols.http.fields import lowered

HOST: Field = (b"Host", b"h")


def check(fields: list[Field], *, is_http_1_1: bool, fields_bytes: int) -> None:
    version = (1, 1) if is_http_1_1 else (1, 0)
    framing.check(fields, lowered(fields), version=version, fields_bytes=fields_bytes)


def test_an_ordinary_message_passes() -> None:
    check(
        [HOST, (b"X", b"a\tb \xff"), (b"Transfer-Encoding", b" Chunked")],
        is_http_1_1=True,
        fields_bytes=100,
    )
    check([], is_http_1_1=False, fields_bytes=100)
    check([(b"Host", b"")], is_http_1_1=True, fields_bytes=100)


@pytest.mark.parametrize(
    ("fields", "is_http_1_1"),
    [
        ([], True),
        ([HOST, HOST], True),
        ([HOST, (b"host", b"x")], False),
        ([(b"Host", b"foo bar")], True),
        ([(b"Host", b"a/b?c@d")], False),
        ([HOST, (b"Transfer-Encoding", b"gzip, chunked")], True),
        ([HOST, (b"Transfer-Encoding", b"chunked, chunked")], True),
        ([HOST, (b"Transfer-Encoding", b"")], True),
        ([HOST, (b"Transfer-Encoding", b"chunked"), (b"transfer-encoding", b"chunked")], True),
        ([HOST, (b"Transfer-Encoding", b"chunked")], False),
    ],
)
def test_rfc_9112_6_3_an_ambiguous_message_is_refused(
    fields: list[Field], is_http_1_1: bool
) -> None:
    with pytest.raises(BadRequest):
        check(fields, is_http_1_1=is_http_1_1, fields_bytes=1000)


def test_rfc_6585_5_a_field_section_is_measured_as_a_whole() -> None:
    line = (b"X", b"x" * 95)
    check([HOST, line], is_http_1_1=True, fields_bytes=109)
    with pytest.raises(FieldsTooLarge, match="more than 108 bytes"):
        check([HOST, line], is_http_1_1=True, fields_bytes=108)


@pytest.mark.parametrize("version", [(0, 9), (1, 2), (2, 0)])
def test_rfc_9110_15_6_6_other_versions_of_http_are_refused(version: tuple[int, int]) -> None:
    with pytest.raises(BadRequest):
        framing.check([HOST], [b"host"], version=version, fields_bytes=1000)
