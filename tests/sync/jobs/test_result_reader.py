"""Jobs that are larger than may be held: what is asked for instead, and what is made of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gateway.errors import BadGateway, ResponseTooLarge
from gateway.protocols.http.query import Query
from gateway.sync.jobs.access import JobAccess, job_access, secret_access
from gateway.sync.jobs.reader import (
    Failing,
    Found,
    Read,
    Refused,
)
from gateway.upstream.messages.messages import Heard, Purpose
from tests.support.theeye import (
    ALLOW_ORIGIN,
    JOB_ID,
    SERVER,
    finished,
    identity_of,
    job,
    reader,
    reply,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.errors import Field
    from gateway.upstream.messages.messages import UpstreamResponse

pytestmark = pytest.mark.virtual_time

OUTPUT = b'["x","{}"]'
ALONE = reply(OUTPUT)
LISTED = reply(b"[%b]" % finished(state="hello", output=None))
ACCESS = job_access(JOB_ID, Query("access_token=t"), [], identity_of("acme"), "")
BY_FIELD = job_access(JOB_ID, Query(""), [(b"Authorization", b"Bearer t")], identity_of("acme"), "")


class TheEye:
    """Has one job that is too large; ``listed`` and ``output`` are its other answers, None for a
    failure."""

    def __init__(
        self, listed: UpstreamResponse | None = LISTED, output: UpstreamResponse | None = ALONE
    ) -> None:
        self._listed = listed
        self._output = output
        self.asked: list[tuple[str, list[Field]]] = []

    async def request(
        self,
        method: str,
        target: str,
        fields: Sequence[Field],
        content: bytes = b"",
        *,
        purpose: Purpose,
        max_bytes: int,
        make_room: Callable[[int], None] | None = None,
        heard: Heard | None = None,
    ) -> UpstreamResponse:
        assert (method, content, purpose) == ("GET", b"", Purpose.READ)
        self.asked.append((target, list(fields)))
        path = target.partition("?")[0]
        if path.endswith("/output"):
            response = self._output
        elif path.endswith("/job"):
            response = self._listed
        else:
            raise ResponseTooLarge("whole")
        if heard is not None:
            heard.note(0 if response is None else response.status, 0.5)
        if response is None:
            raise BadGateway
        if len(response.content) > max_bytes:
            raise ResponseTooLarge("part")
        if make_room is not None:
            make_room(len(response.content))
        return response


async def read(upstream: TheEye, asker: JobAccess = ACCESS, *, output_only: bool = True) -> Read:
    return await reader(upstream, 2000).read(asker, output_only)


async def test_output_of_a_job_that_is_too_large_is_read_by_itself() -> None:
    upstream = TheEye()
    found = await read(upstream)
    assert isinstance(found, Found)
    assert (found.job.id, found.job.output, found.job.state) == (JOB_ID, OUTPUT, "success")
    assert not found.job.is_whole
    assert found.fields == (SERVER, ALLOW_ORIGIN)
    assert [target for target, _ in upstream.asked] == [
        f"/acme/job/{JOB_ID}?access_token=t",
        f"/acme/job?access_token=t&where%5B_id%5D%5B%24in%5D%5B%5D={JOB_ID}",
        f"/job/{JOB_ID}/output?access_token=t",
    ]


async def test_token_in_a_field_is_sent_in_that() -> None:
    upstream = TheEye()
    await read(upstream, BY_FIELD)
    assert [target for target, _ in upstream.asked[1:]] == [
        f"/acme/job?where%5B_id%5D%5B%24in%5D%5B%5D={JOB_ID}",
        f"/job/{JOB_ID}/output",
    ]
    for _, fields in upstream.asked:
        assert (b"Authorization", b"Bearer t") in fields


async def test_job_that_runs_goes_on_without_its_output_being_asked_for() -> None:
    upstream = TheEye(reply(b"[%b]" % job()))
    found = await read(upstream)
    assert isinstance(found, Found)
    assert not found.job.is_finished
    assert len(upstream.asked) == 2


async def test_other_formats_are_told_that_it_is_too_large() -> None:
    upstream = TheEye()
    with pytest.raises(ResponseTooLarge, match="whole"):
        await read(upstream, output_only=False)
    assert len(upstream.asked) == 2


async def test_output_that_is_too_large_itself_is_refused() -> None:
    with pytest.raises(ResponseTooLarge, match="part"):
        await read(TheEye(output=reply(json.dumps(["x" * 3000]).encode())))


@pytest.mark.parametrize(
    "listed",
    [
        reply(b'"host is required"', 400),
        reply(b"[]"),
        reply(b"{}"),
        reply(b"[%b]" % finished(id="0" * 24)),
        reply(b"[%b]" % finished(customer_name="globex")),
        reply(b"[1,%b" % finished()),
    ],
)
async def test_job_that_no_list_tells_of_is_too_large(listed: UpstreamResponse) -> None:
    with pytest.raises(ResponseTooLarge, match="whole"):
        await read(TheEye(listed))


async def test_job_read_by_its_secret_is_too_large() -> None:
    upstream = TheEye()
    with pytest.raises(ResponseTooLarge, match="whole"):
        await read(upstream, secret_access(JOB_ID, "5ec", [], identity_of("")))
    assert len(upstream.asked) == 1


@pytest.mark.parametrize(
    "upstream",
    [
        TheEye(None),
        TheEye(output=None),
        TheEye(output=reply(b"", 500)),
        TheEye(output=reply(b"", 404)),
        TheEye(output=reply(b"<html>")),
    ],
)
async def test_upstream_that_fails_in_between_may_tell_later(upstream: TheEye) -> None:
    assert await read(upstream) == Failing()


@pytest.mark.parametrize(
    ("upstream", "status"),
    [
        (TheEye(reply(b'"Unauthorized"', 401)), 401),
        (TheEye(reply(b'{"message":"Session conflict"}', 409)), 404),
        (TheEye(output=reply(b'{"statusCode":404,"message":"job not found"}', 404)), 404),
        (TheEye(output=reply(b'"Forbidden"', 403)), 403),
    ],
)
async def test_refusal_in_between_is_answered(upstream: TheEye, status: int) -> None:
    found = await read(upstream)
    assert isinstance(found, Refused)
    assert found.response.status == status


async def test_lone_surrogates_are_replaced_as_in_whole_jobs() -> None:
    found = await read(TheEye(output=reply(rb'["\udfff"]')))
    assert isinstance(found, Found)
    assert found.job.output == rb'["\ufffd"]'
