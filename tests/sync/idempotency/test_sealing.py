from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.sync.idempotency.keyed_request import KeyedRequest
from gateway.sync.idempotency.sealing import REPLY_BYTES, Creation, opened, sealed
from gateway.sync.keys.state import KeyName
from tests.support.theeye import JOB_ID, job, reply

REQUEST = KeyedRequest(KeyName(b"c" * 16, b"d" * 16), b"f" * 16, b"common", b"token t1")
REPLY = reply(job(), 200, (b"X-A", b"b\xff"))
CREATION = Creation(JOB_ID, "acme", REPLY)


def test_repetition_opens_all_of_it() -> None:
    found = opened(sealed(CREATION, REQUEST), REQUEST)
    assert found == replace(CREATION, reply=replace(REPLY, fields=tuple(REPLY.fields)))


def test_other_token_of_the_caller_opens_only_what_the_job_is() -> None:
    other = replace(REQUEST, proof=b"token t2")
    assert opened(sealed(CREATION, REQUEST), other) == Creation(JOB_ID, "acme")


def test_large_reply_is_not_kept() -> None:
    large = Creation(JOB_ID, "acme", reply(b" " * (REPLY_BYTES + 1)))
    content = sealed(large, REQUEST)
    assert len(content) < 200
    assert opened(content, REQUEST) == Creation(JOB_ID, "acme")


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, common=b"another key"),
        replace(REQUEST, name=KeyName(b"c" * 16, b"e" * 16)),
        replace(REQUEST, fingerprint=b"g" * 16),
    ],
)
def test_other_request_opens_nothing(other: KeyedRequest) -> None:
    assert opened(sealed(CREATION, REQUEST), other) is None


def test_what_was_changed_does_not_open() -> None:
    content = bytearray(sealed(CREATION, REQUEST))
    content[20] ^= 1
    assert opened(bytes(content), REQUEST) is None
    assert opened(b"", REQUEST) is None
    assert opened(b"short", REQUEST) is None


def test_nothing_of_it_can_be_read_and_no_two_are_alike() -> None:
    one, two = sealed(CREATION, REQUEST), sealed(CREATION, REQUEST)
    assert one != two
    for clear in (JOB_ID.encode(), b"acme", b"restify", b"t1"):
        assert clear not in one
