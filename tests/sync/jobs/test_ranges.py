import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.theeye.job_state import FINISHED
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.jobs.listing import MAX_REQUEST_BYTES, Unlisted, understood
from gateway.sync.jobs.ranges import Ended, IdRange, Unranged, range_target, range_understood
from tests.support.theeye import JOB_ID, LOOKUP_FAILED, finished, job
from tests.support.watched import access, job_ids

ALL = IdRange("0" * 24, "f" * 24)
IDS = st.text("0123456789abcdef", min_size=24, max_size=24)


def test_range_is_asked_for_with_its_bounds_and_every_lifecycle_that_is_an_end() -> None:
    target = range_target(access("access_token=t%2Bx", JOB_ID, "a/b"), ALL)
    path, _, query = target.partition("?")
    assert path == "/a%2Fb/job"
    assert query.startswith("access_token=t%2Bx&where%5B_id%5D%5B%24gte%5D=")
    asked = parse_qsl(query)[1:]
    assert asked[:2] == [("where[_id][$gte]", ALL.oldest), ("where[_id][$lte]", ALL.newest)]
    assert {key for key, _ in asked[2:]} == {"where[lifecycle][$in][]"}
    assert {value for _, value in asked[2:]} == FINISHED


@given(IDS, IDS, st.text(max_size=255))
def test_request_is_as_short_for_any_number_of_jobs(one: str, other: str, customer: str) -> None:
    target = range_target(JobAccess(JOB_ID, customer, Credentials("", ())), IdRange(one, other))
    assert len(target) < MAX_REQUEST_BYTES / 4
    assert JOB_ID not in target or JOB_ID in (one, other)


ENDED = frozenset({JOB_ID})
NARROW = IdRange(JOB_ID, JOB_ID)


@pytest.mark.parametrize(
    ("status", "content", "ids", "ended"),
    [
        (200, b"[]", ALL, frozenset[str]()),
        (200, b"[%b]" % finished(), NARROW, ENDED),
        (200, b"[%b]" % finished(id=JOB_ID.upper()), NARROW, ENDED),
        (200, b"[%b]" % finished(lifecycle="canceled"), ALL, ENDED),
        (200, b"[%b]" % finished(), IdRange("0" * 24, "1" * 24), Unranged.UNKNOWN),
        (200, b"[%b]" % job(), ALL, Unranged.UNKNOWN),
        (200, b"[%b,%b]" % (finished(), job(id="0" * 24)), ALL, Unranged.UNKNOWN),
        (200, b"[%b,1]" % finished(), ALL, Unranged.TOO_MUCH),
        (200, b'{"id":1}', ALL, Unranged.REFUSED),
        (500, b'"Internal Server Error"', ALL, Unranged.UNKNOWN),
        (500, LOOKUP_FAILED, ALL, Unranged.FAILING),
        (413, b"", ALL, Unranged.TOO_MUCH),
        (401, b'"Unauthorized"', ALL, Unranged.DENIED),
        (403, b'"forbidden"', ALL, Unranged.REFUSED),
        (403, LOOKUP_FAILED, ALL, Unranged.FAILING),
        (503, b"", ALL, Unranged.FAILING),
    ],
)
def test_answer_to_a_range_is_understood(
    status: int, content: bytes, ids: IdRange, ended: Ended
) -> None:
    assert range_understood(status, content, ids) == ended


@given(
    st.lists(st.sampled_from(job_ids(40)), unique=True),
    st.sampled_from(job_ids(40)),
    st.sampled_from(job_ids(40)),
)
def test_nothing_outside_the_range_is_ever_taken_for_an_answer(
    listed: list[str], oldest: str, newest: str
) -> None:
    ids = IdRange(oldest, newest)
    content = json.dumps([json.loads(finished(id=one)) for one in listed]).encode()
    found = range_understood(200, content, ids)
    outside = [one for one in listed if not oldest <= one <= newest]
    assert found == (Unranged.UNKNOWN if outside else frozenset(listed))


@pytest.mark.parametrize("status", [*range(200, 600)])
def test_reasons_are_those_of_other_lists_but_for_500(status: int) -> None:
    listing = understood(status, b"")
    assert isinstance(listing, Unlisted)
    found = range_understood(status, b"", ALL)
    assert isinstance(found, Unranged)
    assert found is Unranged.UNKNOWN if status == 500 else found.name == listing.name
