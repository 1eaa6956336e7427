from __future__ import annotations

import pytest

from gateway.demo.routes import Operation
from gateway.demo.routing import find


@pytest.mark.parametrize(
    ("method", "path", "purpose", "params"),
    [
        ("POST", "/job", Operation.CREATE, {}),
        ("POST", "/%61cme/task/t/job", Operation.CREATE, {"customer": "acme", "task": "t"}),
        ("GET", "/acme/job", Operation.LIST, {"customer": "acme"}),
        ("GET", "/job/j/output", Operation.OUTPUT, {"job": "j"}),
        ("GET", "/acme/job/j%zz", Operation.OTHER, {}),
        ("GET", f"/acme/job/{'a' * 101}", Operation.OTHER, {}),
        ("GET", "/job/j/result", Operation.OTHER, {}),
        ("POST", "/task/t/job/", Operation.OTHER, {}),
        ("DELETE", "/acme/job/j", Operation.OTHER, {}),
        ("POST", "/workflows/w/job", Operation.CREATE, {"workflow": "w"}),
        (
            "GET",
            "/workflows/w/job/j/jobs",
            Operation.TASK_JOBS,
            {"workflow": "w", "job": "j"},
        ),
        ("PUT", "/workflows/w/job/j/cancel", Operation.CANCEL, {"workflow": "w", "job": "j"}),
        ("OPTIONS", "*", Operation.OPTIONS, {}),
    ],
)
def test_route_is_found_by_method_and_raw_path(
    method: str, path: str, purpose: Operation, params: dict[str, str]
) -> None:
    route, found = find(method, path)
    assert (route.purpose, found) == (purpose, params)
