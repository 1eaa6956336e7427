"""Classifies requests by method and raw path, as TheEye's router would: which are the sync mode's,
whose token it looks at, and what they cost it. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from gateway.protocols.theeye.job import ID_PATTERN


class RouteKind(StrEnum):
    """The effects of requests on TheEye. Each has rates of its own; named as their settings."""

    CREATE = "create"
    """It makes a job, also where nobody waits for it."""
    RESULT = "result"
    """It asks for a job's result, or for having the job cancelled."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class CreateRoute:
    """A request that creates a job, with a token."""

    customer: str = ""
    """The organization's name where the path has one, as it came."""
    by_secret: bool = False
    workflow_id: str = ""
    """The workflow, as it came, whose job it makes; empty for a task's."""


@dataclass(frozen=True, slots=True)
class ResultRoute:
    """A request for a job's result."""

    job_id: str
    """As it came: not checked to be an id."""
    secret: str = ""
    """The job's secret where the path has one, as it came."""
    workflow_id: str = ""
    """The workflow whose job it is, as it came; empty for a task's."""

    @property
    def by_secret(self) -> bool:
        """No token is needed."""
        return bool(self.secret)


@dataclass(frozen=True, slots=True)
class CancelRoute:
    """A request to cancel a job whose result is still to come, with a token."""

    job_id: str
    """As it came: not checked to be an id."""
    workflow_id: str = ""
    """The workflow whose job it is, as it came; empty for a task's."""

    @property
    def by_secret(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class PreflightRoute:
    """A browser asks whether it may send a request for one of the others."""


Route = CreateRoute | ResultRoute | CancelRoute
PREFLIGHT: Final = PreflightRoute()


@dataclass(frozen=True, slots=True)
class Match:
    """The classification of one request."""

    route: Route | None
    """The sync mode's route; None where the request only passes."""
    needs_token: bool
    """TheEye looks at the request's token, so a response may tell something of that."""
    proves_token: bool
    """Every router takes the path for one where the token is looked at, so that success proves the
    token. Meaningful only with ``needs_token``."""
    kind: RouteKind


_CREATE = re.compile(r"/(?:([^/]+)/)?(?:task/[^/]+/(secret/[^/]+/)?)?job")
_CREATE_OF_WORKFLOW = re.compile(rf"/workflows/({ID_PATTERN})/(secret/[^/]+/)?job")
_RESULT = re.compile(rf"(?:/workflows/({ID_PATTERN}))?/job/([^/]*)/(?:secret/([^/]+)/)?result")
_CREATES = re.compile(r".*/job(?:/secret/[^/]+)?/*(?:;.*)?", re.IGNORECASE | re.DOTALL)
"""TheEye's routes that make a job, of tasks and workflows. Its router ignores case and a slash at
the end, and newer ones of its kind (find-my-way 5) what stands behind a semicolon, so another
spelling must not be cheaper."""
_BY_SECRET = re.compile(
    r"/(?:[^/;]+/)?task/[^/;]+/secret/[^/;]+/job|/job/secret/[^/;]+"
    r"|/workflows/[^/;]+/secret/[^/;]+/job|/[^/;]+/webhook/[^/;]+/trigger/secret/[^/;]+"
)
_RESULT_BY_SECRET = re.compile(r"/job/[^/;]+/secret/[^/;]+/result")
"""Without a semicolon: some routers end the path there, before the secret."""
_STATUS: Final = frozenset({"/api", "/api/status"})
_MAY_BE_FREE = re.compile(
    r"(?:/{2,}[^/@]*@[^/]*)?/+(?:api(?:/+status)?|token)/*(?:;.*)?|.*/secret/.*", re.DOTALL
)
"""Behind two slashes Node's ``url.parse`` takes what has an ``@`` for a host."""
_ESCAPED_LETTER = re.compile(r"%[46][1-9a-fA-F]|%[57][0-9aA]")
_PASSES = Match(None, needs_token=True, proves_token=True, kind=RouteKind.OTHER)
"""Nearly all requests."""
_ASKS_FOR_OPTIONS = Match(None, needs_token=False, proves_token=False, kind=RouteKind.OTHER)


def classify(method: str, path: str) -> Match:
    """Classify a request by its method and raw path (no query)."""
    if method == "OPTIONS":
        return _ASKS_FOR_OPTIONS
    folded = path.lower()
    if "%" in folded:
        folded = unquote(folded).lower()
    proves_token = "api" not in folded and "token" not in folded and "secret" not in folded
    is_sync = path.endswith(("/job", "/result"))
    may_create = method == "POST" and "/job" in folded
    if proves_token and not is_sync and not may_create:
        return _PASSES
    route = _route(method, path) if is_sync else None
    if isinstance(route, ResultRoute | CancelRoute):
        kind = RouteKind.RESULT
    elif may_create and (route is not None or _CREATES.fullmatch(unquote(path))):
        kind = RouteKind.CREATE
    else:
        kind = RouteKind.OTHER
    return Match(
        route,
        needs_token=proves_token or _needs_token(method, path),
        proves_token=proves_token or _MAY_BE_FREE.fullmatch(folded.replace("\\", "/")) is None,
        kind=kind,
    )


def route_asked_for(method: str, path: str) -> Route | None:
    """The sync mode's route of the request that a preflight asks for; ``method`` is that one's."""
    return _route(method, path) if path.endswith(("/job", "/result")) else None


def _route(method: str, path: str) -> Route | None:
    if method == "POST" and (match := _CREATE.fullmatch(path)):
        return CreateRoute(match[1] or "", by_secret=match[2] is not None)
    if method == "POST" and (match := _CREATE_OF_WORKFLOW.fullmatch(path)):
        return CreateRoute(by_secret=match[2] is not None, workflow_id=match[1])
    match = _RESULT.fullmatch(path)
    if match is None:
        return None
    workflow_id, job_id, secret = match[1] or "", match[2], match[3] or ""
    if secret and workflow_id:
        return None
    if method in {"GET", "POST"}:
        return ResultRoute(job_id, secret, workflow_id)
    return CancelRoute(job_id, workflow_id) if method == "DELETE" and not secret else None


def _needs_token(method: str, path: str) -> bool:
    """It does for all but preflights, its status, the log-in by name and password, and what is
    proved by a task's, webhook's or job's secret."""
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
