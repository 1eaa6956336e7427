"""Reading a token from stdin: as an argument it would stand in lists of processes."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

MAX_TOKEN_BYTES = 64 * 1024


class NoToken(Exception):
    """There is none, or something else; the message says what."""


def read_token(stdin: TextIO) -> bytes:
    """The only token on ``stdin``, without the space around it; not shown while it is typed.

    Raises:
        NoToken
    """
    if stdin.isatty():
        token = getpass.getpass("token: ").encode("utf-8", "replace").strip()
    else:
        token = stdin.buffer.read(MAX_TOKEN_BYTES + 1).strip()
    if not token:
        raise NoToken("no token on stdin")
    if len(token) > MAX_TOKEN_BYTES or len(token.split()) > 1:
        raise NoToken("stdin must have one token and nothing else")
    return token
