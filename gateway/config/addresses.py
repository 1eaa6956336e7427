"""Addresses that settings name."""

from __future__ import annotations

import re

from yarl import URL

_VISIBLE = re.compile(r"[!-~]+")


def http_url(text: str) -> URL | None:
    """The address of something that is asked by HTTP, with or without TLS; None for other text."""
    try:
        url = URL(text)
    except ValueError:
        return None
    is_http = url.scheme in {"http", "https"} and bool(url.host) and bool(url.port)
    return url if is_http and _VISIBLE.fullmatch(text) is not None else None


def has_user(url: URL) -> bool:
    """Tell whether it has a user's name or a password, both of which would be shown."""
    return url.raw_user is not None or url.raw_password is not None
