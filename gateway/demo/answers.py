"""TheEye's answers: its header fields in its order (restify), and its error bodies."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import msgspec

_ALLOWED_FIELDS = (
    "Accept, Accept-Charset, Accept-Encoding, Accept-Version, Authorization, Cache-Control, "
    "Content-Length, Content-Type, Origin, User-Agent, X-Requested-With"
)
_AUTH_STACK = (
    "authentication failed: authentication failed\n"
    "    at Strategy._verify (/srv/theeye-supervisor/core/lib/auth/index.js:56:21)"
)
_CUSTOMER_STACK = (
    "Error: Incorrect Organizations. Session conflict\n"
    "    at module.exports (/srv/theeye-supervisor/core/router/ensure-customer.js:24:19)"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; ``value`` is what its JSON content says, absent with ``has_content`` unset."""

    status: int
    value: object = None
    has_content: bool = True
    fields: tuple[tuple[str, str], ...] = ()
    returned: int = 0
    """Jobs that the answer lists."""
    scanned: int = 0
    """Jobs that were looked at to find those."""

    @property
    def content(self) -> bytes:
        return msgspec.json.encode(self.value) if self.has_content else b""


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(reply.status)


NO_CONTENT = Reply(204, has_content=False)
EMPTY = Reply(200, has_content=False)
"""What restify makes of an undefined value: chunked, and no chunk."""


def plain(status: int, message: str) -> RefusedError:
    """The older routes' errors: a JSON string."""
    return RefusedError(Reply(status, message))


def detailed(status: int, message: str) -> RefusedError:
    """The newer routes' errors."""
    return RefusedError(Reply(status, {"statusCode": status, "message": message}))


def coded(
    status: int, code: str, message: str, fields: tuple[tuple[str, str], ...] = ()
) -> RefusedError:
    """The errors of restify itself."""
    return RefusedError(Reply(status, {"code": code, "message": message}, fields=fields))


def unknown_token(status: int = 401, body: str = "") -> RefusedError:
    """The auth service does not know the token."""
    failed = "authentication failed"
    return RefusedError(
        Reply(
            status,
            {
                "stack": _AUTH_STACK,
                "message": failed,
                "name": failed,
                "body": body,
                "statusCode": status,
            },
        )
    )


def conflict() -> RefusedError:
    """The organization asked for is not the token's."""
    message = "Incorrect Organizations. Session conflict"
    return RefusedError(
        Reply(409, {"stack": _CUSTOMER_STACK, "message": message, "statusCode": 409})
    )


def head(origin: str | None) -> list[tuple[str, str]]:
    """The fields every answer begins with."""
    return [
        ("Server", "restify"),
        ("Access-Control-Allow-Origin", origin or "*"),
        ("Access-Control-Allow-Methods", "GET,PUT,PATCH,POST,DELETE,OPTIONS"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Allow-Headers", _ALLOWED_FIELDS),
    ]


def encode(reply: Reply, origin: str | None, *, zipped: bool, close: bool, is_head: bool) -> bytes:
    """The whole answer as it stands on the wire."""
    content = reply.content
    fields = [*head(origin), *reply.fields]
    tail: list[tuple[str, str]] = []
    if content and not is_head:
        if zipped:
            content = gzip.compress(content, 1, mtime=0)
            content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
            fields.append(("Content-Encoding", "gzip"))
            tail = [("Transfer-Encoding", "chunked")]
        fields.append(("Content-Type", "application/json"))
        if not zipped:
            fields.append(("Content-Length", str(len(content))))
    elif reply.status == HTTPStatus.OK and not reply.has_content and not is_head:
        content = b"0\r\n\r\n"
        tail = [("Transfer-Encoding", "chunked")]
    fields.append(("Date", formatdate(usegmt=True)))
    fields.append(("Connection", "close" if close else "keep-alive"))
    if not close:
        fields.append(("Keep-Alive", "timeout=5"))
    lines = "".join(f"{name}: {value}\r\n" for name, value in (*fields, *tail))
    status = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
    return f"{status}{lines}\r\n".encode() + (b"" if is_head else content)
