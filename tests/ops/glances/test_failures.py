from typing import Any

from gateway.ops.glances.failures import OF_A_REASON, REASONS, Failures
from tests.support.records import exchange


def observe(failures: Failures, at: float, reason: str = "BadGateway", **known: Any) -> None:
    record = exchange(reason=reason, **known)
    record.finished = at
    failures.observe(record)


def test_requests_with_a_reason_and_5xx_of_the_upstream_are_kept() -> None:
    failures = Failures()
    observe(failures, 1.0, "", status=200)
    observe(failures, 2.0, "", status=404)
    observe(failures, 3.0, "", status=500)
    observe(failures, 4.0, "TooManyRequests", status=429)
    assert [(one.finished, one.reason, one.status) for one in failures.last(9)] == [
        (4.0, "TooManyRequests", 429),
        (3.0, "", 500),
    ]
    assert [one.finished for one in failures.last(1)] == [4.0]


def test_failure_shows_no_secret_and_nothing_that_is_not_printable() -> None:
    failures = Failures()
    target = "/acme/job?access_token=geheim&a=<img src=x onerror=alert(1)>\x1b"
    observe(failures, 1.0, target=target, request_id='"id"', job_id="<b>")
    (failure,) = failures.last(9)
    assert "geheim" not in failure.target
    assert "access_token=" in failure.target
    for text in (failure.target, failure.request_id, failure.job_id, failure.user_agent):
        assert text.isascii()
        assert text.isprintable()


def test_program_of_the_client_is_told_in_words() -> None:
    failures = Failures()
    record = exchange(reason="BadGateway")
    record.client.fields = ((b"User-Agent", b"curl/8.5 \xff (x; " + 200 * b"y"),)
    failures.observe(record)
    (failure,) = failures.last(9)
    assert failure.user_agent.startswith("curl/8.5 %FF (x; yyy")
    assert len(failure.user_agent) == 128


def test_program_of_the_client_shows_no_secret() -> None:
    failures = Failures()
    record = exchange(reason="BadGateway")
    record.client.fields = ((b"User-Agent", b"curl/8.5 Bearer opaque"),)
    failures.observe(record)
    (failure,) = failures.last(9)
    assert failure.user_agent == "curl/***"


def test_flood_of_one_reason_hides_no_other_and_costs_little() -> None:
    failures = Failures()
    observe(failures, 1.0, "InternalError")
    for number in range(1000):
        observe(failures, 2.0 + number / 1000, "TooManyRequests")
    kept = failures.last(1000)
    assert len(kept) == OF_A_REASON + 1
    assert kept[-1].reason == "InternalError"
    # Of one second those that came first are kept.
    assert kept[0].finished < 2.1
    observe(failures, 4.0, "TooManyRequests")
    assert failures.last(1)[0].finished == 4.0


def test_reasons_are_bounded() -> None:
    failures = Failures()
    for number in range(2 * REASONS):
        observe(failures, 1.0, str(number))
    assert len(failures.last(10 * REASONS)) == REASONS
