from __future__ import annotations

import logging

import pytest

from gateway.admission.identity.key_files import UnusableKey
from gateway.server.renewals import renew_all


def test_file_that_cannot_be_used_keeps_no_other_from_being_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    read: list[str] = []

    def refuse() -> None:
        raise UnusableKey("there is no secret in it")

    with caplog.at_level(logging.INFO):
        assert not renew_all({"the first": refuse, "the second": lambda: read.append("second")})
        assert renew_all({"the third": lambda: None})
    assert read == ["second"]
    assert caplog.messages == [
        "the first stays as it was: there is no secret in it",
        "the second was read again",
        "the third was read again",
    ]
