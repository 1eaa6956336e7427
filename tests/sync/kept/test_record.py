from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.theeye.job import Job, parse_job, with_output
from gateway.sync.kept.record import decoded, encoded
from gateway.sync.kept.result_key import ResultKey
from tests.support.theeye import JOB_ID, finished
from tests.support.theeye import job as running

KEY = ResultKey(b"1" * 16, "acme", JOB_ID)


def job(content: bytes) -> Job:
    made = parse_job(content)
    assert made is not None
    return made


@given(st.lists(st.text()))
def test_job_is_read_again_as_it_was(output: list[str]) -> None:
    kept = job(finished(output=output, result={"a": output}))
    assert decoded(encoded(kept), KEY) == kept


def test_job_of_which_only_the_output_was_read_is_read_again_as_it_was() -> None:
    kept = with_output(job(finished(output=None)), b'["large"]')
    assert kept is not None
    assert decoded(encoded(kept), KEY) == kept


def test_job_with_lone_surrogates_is_read_again_as_it_was() -> None:
    kept = job(finished(output=["\ud800"]))
    assert decoded(encoded(kept), KEY) == kept


@given(st.binary())
def test_what_is_no_record_has_no_job(content: bytes) -> None:
    assert decoded(content, KEY) is None


def test_record_of_another_job_or_of_one_that_goes_on_is_none() -> None:
    assert decoded(encoded(job(finished(id="0" * 24))), KEY) is None
    assert decoded(encoded(job(running())), KEY) is None
    assert decoded(msgspec.msgpack.encode([finished(), b"no JSON"]), KEY) is None
