"""What real HTTP clients do with the redirects of a wait, and with `Prefer: wait`."""

from __future__ import annotations

import asyncio

import pytest

from gateway.config import SyncConfig
from tests.clients.calls import RESULT, Call, Calls, calls
from tests.clients.table import CLIENTS, Client

pytestmark = pytest.mark.clients

DEFAULT_LIMIT = SyncConfig().default_limit
HOLD_MARGIN_SECONDS = SyncConfig().hold_margin_seconds


@pytest.fixture(scope="module")
def made() -> Calls:
    """All calls, made at once: most of them only wait."""
    return asyncio.run(calls())


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    if not found.is_here:
        pytest.skip(f"{found.name} is not installed, or not built")
    return found


def statuses(call: Call) -> list[object]:
    """Of the requests for the result, in turn."""
    return [request["status"] for request in call.gets]


def test_client_follows_as_many_redirects_as_its_row_says(client: Client, made: Calls) -> None:
    call = made.of(client, "follows")
    assert len(call.gets) == client.follows
    assert call.posts == 1


def test_client_sends_its_token_where_a_redirect_leads_unless_its_row_says_otherwise(
    client: Client, made: Calls
) -> None:
    if client.drops_token:
        assert statuses(made.of(client, "follows")) == [401]
    else:
        assert 401 not in statuses(made.of(client, "follows"))
    assert 401 not in statuses(made.of(client, "ten redirects"))


def test_client_follows_ten_redirects_with_what_its_row_says_that_it_needs(
    client: Client, made: Calls
) -> None:
    call = made.of(client, "ten redirects")
    assert statuses(call) == [303] * (DEFAULT_LIMIT - 1) + [408]
    assert call.posts == 1


def test_client_reads_as_long_as_its_row_says(client: Client, made: Calls) -> None:
    """The hold takes six seconds."""
    call = made.of(client, "reads")
    assert (RESULT in call.printed) is (client.reads_seconds is None)


def test_client_sends_again_after_what_its_row_says(client: Client, made: Calls) -> None:
    for status, scenario in ((408, "time up"), (500, "fails")):
        call = made.of(client, scenario)
        ended = [found for found in statuses(call) if found != 303]
        assert set(ended) == {status}
        assert (len(ended) > 1) is (status in client.repeats)
        assert call.posts == 1


@pytest.mark.parametrize(("scenario", "status"), [("prefer", 200), ("prefer fails", 500)])
def test_client_that_prefers_to_wait_gets_its_result_in_one_request(
    client: Client, made: Calls, scenario: str, status: int
) -> None:
    call = made.of(client, scenario)
    assert [request["status"] for request in call.requests] == [status]
    assert RESULT in call.printed


def test_client_whose_time_limit_is_as_long_as_a_hold_gets_through_ten_of_them(
    client: Client, made: Calls
) -> None:
    """It reads for five seconds, and ten holds of five seconds follow each other."""
    if client.reads_seconds is None:
        pytest.skip("its time limit is longer")
    assert client.reads_seconds == 5
    call = made.of(client, "ten holds")
    if RESULT not in call.printed and made.late_seconds > HOLD_MARGIN_SECONDS / 2:
        pytest.skip(f"this machine was busy: processes waited up to {made.late_seconds:.2f} s")
    assert statuses(call) == [303] * (DEFAULT_LIMIT - 1) + [200]
    assert RESULT in call.printed
