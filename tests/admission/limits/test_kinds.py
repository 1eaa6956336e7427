from __future__ import annotations

import pytest

from gateway.admission.limits.kinds import Limited, is_hop, limited_kind
from gateway.protocols.theeye.routes import route


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/task/t/job", Limited.CREATE),
        ("POST", "/acme/job", Limited.CREATE),
        ("POST", "/task/t/secret/s/job", Limited.CREATE),
        ("POST", "/job/secret/s", Limited.CREATE),
        ("POST", "/workflows/w/job", Limited.CREATE),
        ("POST", "/workflows/w/secret/s/job", Limited.CREATE),
        ("POST", "/acme/task/t/JOB", Limited.CREATE),
        ("POST", "/task/t/job/", Limited.CREATE),
        ("POST", "/task/t/jo%62", Limited.CREATE),
        ("POST", "/task/t%0a/job%2F", Limited.CREATE),
        ("POST", "/task/t/job;a=b/c", Limited.CREATE),
        ("POST", "/job/secret/s/;", Limited.CREATE),
        ("GET", "/task/t/job", Limited.OTHER),
        ("POST", "/task/t/jobs", Limited.OTHER),
        ("POST", "/task", Limited.OTHER),
        ("PUT", "/job/j", Limited.OTHER),
        ("GET", "/job/j/result", Limited.RESULT),
        ("POST", "/job/j/result", Limited.RESULT),
        ("GET", "/job/j/secret/s/result", Limited.RESULT),
        ("DELETE", "/job/j/result", Limited.OTHER),
        ("OPTIONS", "*", Limited.OTHER),
    ],
)
def test_kind_is_what_the_upstream_would_do(method: str, path: str, kind: Limited) -> None:
    assert limited_kind(method, path, route(method, path)) is kind


@pytest.mark.parametrize(
    ("query", "hop"),
    [
        ("", False),
        ("counter=0", False),
        ("counter=1", True),
        ("a=b&co%75nter=12&limit=3", True),
        ("counter=1&counter=1", False),
        ("counter=-1", False),
        ("counter=", False),
        ("counter=²", False),
        ("counter=" + "9" * 5000, True),
        ("access_token=counter", False),
    ],
)
def test_request_that_follows_a_redirect_is_known_by_its_counter(query: str, hop: bool) -> None:
    assert is_hop(query) is hop
