from __future__ import annotations

import pytest

from gateway.config.addresses import has_user, http_url


@pytest.mark.parametrize(
    "text", ["http://a", "https://a:1/b?c", "http://[::1]:81", "http://user:password@a"]
)
def test_address_is_one_of_http(text: str) -> None:
    url = http_url(text)
    assert url is not None
    assert str(url) == text


@pytest.mark.parametrize(
    "text",
    ["", "a", "//a", "ftp://a", "http://", "http://a:0", "http://a:x", "http://a b", "http://\xe4"],
)
def test_other_text_is_none(text: str) -> None:
    assert http_url(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("http://a", False), ("http://u@a", True), ("http://:p@a", True), ("http://u:p@a", True)],
)
def test_user_or_password_is_noticed(text: str, *, expected: bool) -> None:
    url = http_url(text)
    assert url is not None
    assert has_user(url) is expected
