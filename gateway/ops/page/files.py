"""The files that the operators' page is made of, and what a browser may do with it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

_FOLDER = Path(__file__).with_name("static")
INDEX: Final = "index.html"
FILES: Final = (
    "charts.js",
    "icon.svg",
    "page.css",
    "page.js",
    "stream.js",
    "tables.js",
    "words.js",
)
"""What it asks for, below ``/page/``."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
SAFE_FIELDS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing comes from elsewhere, no script stands in the page, and it is nobody's frame."""


@cache
def content(name: str) -> bytes:
    """A file's bytes. There are a few, so all that were asked for are kept."""
    return (_FOLDER / name).read_bytes()


def fields(name: str) -> dict[str, str]:
    """The fields that a file is sent with."""
    return {**SAFE_FIELDS, "Content-Type": _TYPES[Path(name).suffix]}
