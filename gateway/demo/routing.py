"""TheEye's routes: which there are."""

from __future__ import annotations

import re
from urllib.parse import unquote

from gateway.demo import answers, holds, routes
from gateway.demo.routes import Handler, Operation, Route
from gateway.demo.workflows import routes as workflows

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _route(method: str, path: str, purpose: Operation, handle: Handler) -> Route:
    pattern = re.sub(r":(\w+)", r"(?P<\1>[^/]{1,100})", path)
    return Route(method, re.compile(pattern), purpose, handle)


_ANY = re.compile(".*")
_OPTIONS = Route("OPTIONS", _ANY, Operation.OPTIONS, lambda _desk, _call: answers.NO_CONTENT)
ROUTES = (
    _route("GET", "/api", Operation.HEALTH, routes.health),
    _route("GET", "/api/status", Operation.HEALTH, routes.status),
    _route("POST", "/task/:task/job", Operation.CREATE, routes.create),
    _route("POST", "/task/:task/secret/:secret/job", Operation.CREATE, routes.create_by_secret),
    _route("POST", "/job", Operation.CREATE, routes.create),
    _route("POST", "/job/secret/:secret", Operation.CREATE, routes.create_by_secret),
    _route("GET", "/job/:job/output", Operation.OUTPUT, routes.output),
    _route("GET", "/job/:job/input", Operation.OUTPUT, routes.input_),
    _route("POST", "/:customer/task/:task/job", Operation.CREATE, routes.create),
    _route(
        "POST",
        "/:customer/task/:task/secret/:secret/job",
        Operation.CREATE,
        routes.create_by_secret,
    ),
    _route("POST", "/:customer/job", Operation.CREATE, routes.create),
    _route("GET", "/:customer/job", Operation.LIST, routes.list_),
    _route("GET", "/:customer/job/:job", Operation.READ, routes.read),
    _route("GET", "/:customer/job/:job/lifecycle", Operation.LIFECYCLE, routes.lifecycle),
    _route("PUT", "/:customer/job/:job/cancel", Operation.CANCEL, routes.cancel),
    _route("PUT", "/:customer/job/:job/approve", Operation.ACT, holds.approve),
    _route("PUT", "/:customer/job/:job/reject", Operation.ACT, holds.reject),
    _route("PUT", "/:customer/job/:job/input", Operation.ACT, holds.give_input),
    _route("GET", "/workflows/:workflow", Operation.WORKFLOW, workflows.define),
    _route("POST", "/workflows/:workflow/job", Operation.CREATE, workflows.start),
    _route(
        "POST",
        "/workflows/:workflow/secret/:secret/job",
        Operation.CREATE,
        workflows.start_by_secret,
    ),
    _route("GET", "/workflows/:workflow/job", Operation.LIST, workflows.list_),
    _route("DELETE", "/workflows/:workflow/job", Operation.OTHER, workflows.remove),
    _route("GET", "/workflows/:workflow/job/:job", Operation.RUN, workflows.read),
    _route("GET", "/workflows/:workflow/job/:job/jobs", Operation.TASK_JOBS, workflows.task_jobs),
    _route("PUT", "/workflows/:workflow/job/:job/cancel", Operation.CANCEL, workflows.cancel),
)


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request and the path's parameters; where there is none, one that says so."""
    if method == "OPTIONS":
        return _OPTIONS, {}
    allowed: list[str] = []
    if not _BAD_ESCAPE.search(path):
        for route in ROUTES:
            match = route.pattern.fullmatch(path)
            if match is None:
                continue
            if route.method == method:
                return route, {name: unquote(text) for name, text in match.groupdict().items()}
            allowed.append(route.method)
    return _missing(method, path, allowed), {}


def _missing(method: str, path: str, allowed: list[str]) -> Route:
    if allowed:
        fields = (("Allow", ", ".join(allowed)),)
        refused = answers.coded(405, "MethodNotAllowed", f"{method} is not allowed", fields)
    else:
        refused = answers.coded(404, "ResourceNotFound", f"{path} does not exist")
    return Route(method, _ANY, Operation.OTHER, lambda _desk, _call: refused.reply)
