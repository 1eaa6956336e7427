"""Which requests are the sync mode's; all others only pass. And which targets may pass at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from gateway.errors import BadRequest


@dataclass(frozen=True, slots=True)
class CreateRoute:
    """A request that creates a job, with a token."""

    customer: str = ""
    """The organization's name where the path has one, as it came."""
    by_secret: bool = False


@dataclass(frozen=True, slots=True)
class ResultRoute:
    """A request for a job's result."""

    job_id: str
    """As it came: not checked to be an id."""
    secret: str = ""
    """The job's secret where the path has one, as it came."""

    @property
    def by_secret(self) -> bool:
        """No token is needed."""
        return bool(self.secret)


Route = CreateRoute | ResultRoute

_CREATE = re.compile(r"/(?:([^/]+)/)?(?:task/[^/]+/(secret/[^/]+/)?)?job")
_RESULT = re.compile(r"/job/([^/]*)/(?:secret/([^/]+)/)?result")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)
_BY_SECRET = re.compile(
    r"/(?:[^/;]+/)?task/[^/;]+/secret/[^/;]+/job|/job/secret/[^/;]+"
    r"|/workflows/[^/;]+/secret/[^/;]+/job|/[^/;]+/webhook/[^/;]+/trigger/secret/[^/;]+"
)
_RESULT_BY_SECRET = re.compile(r"/job/[^/;]+/secret/[^/;]+/result")
"""Without a semicolon: some routers end the path there, before the secret."""
_STATUS = frozenset({"/api", "/api/status"})
_MAY_BE_FREE = re.compile(
    r"(?:/{2,}[^/@]*@[^/]*)?/+(?:api(?:/+status)?|token)/*(?:;.*)?|.*/secret/.*", re.DOTALL
)
"""Behind two slashes Node's ``url.parse`` takes what has an ``@`` for a host."""
_ESCAPED_LETTER = re.compile(r"%[46][1-9a-fA-F]|%[57][0-9aA]")


def route(method: str, path: str) -> Route | None:
    """The sync mode's route for a raw path (no query), None where the request only passes."""
    if not path.endswith(("/job", "/result")):
        return None
    if method == "POST" and (match := _CREATE.fullmatch(path)):
        return CreateRoute(match[1] or "", by_secret=match[2] is not None)
    if method in {"GET", "POST"} and (match := _RESULT.fullmatch(path)):
        return ResultRoute(match[1], match[2] or "")
    return None


def takes_token(method: str, path: str) -> bool:
    """Whether TheEye looks at the token of a request, for a raw path (no query).

    It does for all but preflights, its status, the log-in by name and password, and what is proved
    by a task's, webhook's or job's secret.
    """
    if method == "OPTIONS":
        return False
    if "%" in path:
        path = _ESCAPED_LETTER.sub(lambda escaped: chr(int(escaped[0][1:], 16)), path)
    if path.startswith("//"):
        # As TheEye's router does.
        path = "/" + path.lstrip("/")
    if path in _STATUS or (method == "POST" and path == "/token"):
        return False
    if "/secret/" not in path:
        return True
    is_free = method == "POST" and _BY_SECRET.fullmatch(path) is not None
    is_result = method in {"GET", "POST"} and _RESULT_BY_SECRET.fullmatch(path) is not None
    return not (is_free or is_result)


def may_take_none(path: str) -> bool:
    """Whether a raw path may be, to some router, that of a request whose token TheEye does not look
    at: then an answer to it tells nothing of the token."""
    lowered = path.lower()
    if "%" in lowered:
        lowered = unquote(lowered).lower()
    if "api" not in lowered and "token" not in lowered and "secret" not in lowered:
        return False
    return _MAY_BE_FREE.fullmatch(lowered.replace("\\", "/")) is not None


def origin_form(method: str, target: str, host: str) -> str:
    """The target to send upstream, byte for byte (RFC 9112, 3.2).

    An absolute-form target is taken only for the authority that ``Host`` names.

    Raises:
        BadRequest: neither origin-form, nor our own absolute-form, nor ``OPTIONS *``.
    """
    if method == "CONNECT":
        raise BadRequest("This is no proxy to be tunnelled through")
    if not _is_sendable(target):
        raise BadRequest("The request target has characters that must be percent-encoded")
    if target.startswith("/"):
        return target
    if target == "*" and method == "OPTIONS":
        return target
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not host or match[1].lower() != host.lower():
        raise BadRequest("The request target must be a path on this server")
    rest = match[2]
    return rest if rest.startswith("/") else f"/{rest}"


def _is_sendable(target: str) -> bool:
    """Visible ASCII and no fragment."""
    return target.isascii() and target.isprintable() and " " not in target and "#" not in target
