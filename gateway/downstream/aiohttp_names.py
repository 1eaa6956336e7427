"""The names of aiohttp that are not part of its API and that the client's side leans on.

They differ between releases of one minor version: without them each request would fail with an
AttributeError, so a process with such an aiohttp must not start.
"""

from __future__ import annotations

from importlib import import_module

import aiohttp

ADMITTED = ">=3.14.4,<3.14.6"
"""As in pyproject.toml."""

REQUEST_HANDLER = (
    "_buffer_paused",
    "_close",
    "_current_request",
    "_force_close",
    "_keepalive_handle",
    "_keepalive_timeout",
    "_loop",
    "_manager",
    "_messages",
    "_msg_queue_resume_size",
    "_next_keepalive_close_time",
    "_parser",
    "_pause_transport_reading",
    "_process_keepalive",
    "_reading_paused",
    "_request_count",
    "_resume_reading_if_drained",
    "_task_handler",
    "_upgraded",
    "_waiter",
    "finish_response",
    "force_close",
    "max_line_size",
    "transport",
)
"""What ``connection`` and ``inbound`` take from the class that they extend."""

NAMES = {
    "web_protocol": ("ERROR", "_ErrInfo"),
    "web_protocol.RequestHandler": REQUEST_HANDLER,
    "http_parser.HttpRequestParser": ("message_consumed",),
    "streams": ("EMPTY_PAYLOAD", "EmptyStreamReader"),
}
"""By where in aiohttp they are: a module, or a class in it."""


def misfit() -> str:
    """Why the installed aiohttp cannot be used, in a sentence; empty if it can."""
    missing = [
        f"{place}.{name}" for place, names in NAMES.items() for name in _missing(place, names)
    ]
    if not missing:
        return ""
    return (
        f"aiohttp {aiohttp.__version__} cannot be used, it has no {', '.join(missing)};"
        f" install aiohttp{ADMITTED}"
    )


def _missing(place: str, names: tuple[str, ...]) -> list[str]:
    module, _, inner = place.partition(".")
    try:
        found = import_module(f"aiohttp.{module}")
        owner = getattr(found, inner) if inner else found
    except (ImportError, AttributeError):
        return list(names)
    return [name for name in names if not hasattr(owner, name)]
