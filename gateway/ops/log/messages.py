"""Messages on stderr: one JSON object a line, or text whose further lines are indented.

Whatever a message or an exception repeats of what a client said, it cannot begin a line, nor show a
secret. A message has 4096 bytes at most, which a pipe takes whole (POSIX, PIPE_BUF): those of
several workers do not mix.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from gateway.ops.log.access_log import PIECE_BYTES
from gateway.protocols.theeye.redaction import redacted_text

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE_BYTES: Final = 2048
"""What a message takes as it is written; what it leaves of a line is the exception's."""
READ_CHARACTERS: Final = 16 * 1024
"""What is read of a message, and of an exception."""
_CUT: Final = " [...] "
_INDENT: Final = "    "


class MessageForm(logging.Formatter):
    """``worker`` is the number of the process among several, 0 where there is one."""

    def __init__(self, form: Literal["json", "text"], worker: int = 0) -> None:
        super().__init__()
        self._worker = worker
        self.reconfigure(form)

    def reconfigure(self, form: Literal["json", "text"]) -> None:
        """Have another form, for messages to come."""
        self._written = _json_line if form == "json" else _text_lines

    def format(self, record: logging.LogRecord) -> str:
        return self._written(record, self._worker)


def _json_line(record: logging.LogRecord, worker: int) -> str:
    told: dict[str, str | int] = {
        "time": _time(record),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _fitted(_message(record), MESSAGE_BYTES, json.dumps),
    }
    if worker:
        told["worker"] = worker
    exception = _exception(record)
    if exception:
        room = PIECE_BYTES - len(_compact({**told, "exception": ""})) - 1
        told["exception"] = _fitted(exception, room, json.dumps)
    return _compact(told)


def _text_lines(record: logging.LogRecord, worker: int) -> str:
    who = f"worker {worker}: " if worker else ""
    message = _fitted(_message(record), MESSAGE_BYTES, _visible)
    line = f"{_time(record)} {record.levelname} {record.name}: {who}{_visible(message)}"
    exception = _exception(record)
    if not exception:
        return line
    room = PIECE_BYTES - len(line.encode()) - 1
    return line + _indented(_fitted(exception, room, _indented))


def _time(record: logging.LogRecord) -> str:
    """RFC 3339, in UTC, as in the access log."""
    time = datetime.fromtimestamp(record.created, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except (TypeError, ValueError):
        # It does not fit its arguments; it is told nevertheless.
        message = str(record.msg)
    return redacted_text(_shortened(message.strip(), READ_CHARACTERS))


def _exception(record: logging.LogRecord) -> str:
    """The traceback, without the lines that only underline."""
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    told = "".join(traceback.format_exception(record.exc_info[1]))
    lines = _shortened(told, READ_CHARACTERS).splitlines()
    return redacted_text("\n".join(line for line in lines if line.strip(" ~^")))


def _fitted(text: str, room: int, written: Callable[[str], str]) -> str:
    """The text, shortened until it takes ``room`` bytes at most as it is written."""
    most = len(text)
    while most and len(written(text).encode()) > room:
        most = min(most * 3 // 4, room)
        text = _shortened(text, most)
    return text


def _shortened(text: str, most: int) -> str:
    """The text without its middle: the end of a traceback says what happened, its beginning where
    that began."""
    if len(text) <= most:
        return text
    kept = max(most - len(_CUT), 0)
    return text[: kept // 4] + _CUT[:most] + text[len(text) - (kept - kept // 4) :]


def _visible(text: str) -> str:
    """The text in one line, and without what would steer a terminal."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "backslashreplace").decode("ascii")
        for character in text
    )


def _indented(text: str) -> str:
    return "".join(f"\n{_INDENT}{_visible(line)}" for line in text.split("\n"))


def _compact(told: dict[str, str | int]) -> str:
    return json.dumps(told, separators=(",", ":"))
