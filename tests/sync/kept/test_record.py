from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.theeye.job import Job, parse_job, with_output
from gateway.protocols.theeye.workflow_job import joined, of_workflow, workflow_job
from gateway.sync.kept.record import decoded, encoded
from gateway.sync.kept.result_key import ResultKey
from tests.support.running_workflow import OWN_ID, A, B, ended, own_job
from tests.support.theeye import JOB_ID, finished
from tests.support.theeye import job as running

KEY = ResultKey(b"1" * 16, "acme", JOB_ID)
OF_WORKFLOW = ResultKey(b"1" * 16, "acme", OWN_ID)


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


@pytest.mark.parametrize("is_presumed", [False, True])
def test_workflow_is_read_again_as_it_was(is_presumed: bool) -> None:
    own, jobs = json.dumps(own_job()).encode(), json.dumps([ended(1, A), ended(2, B)]).encode()
    raw = joined(own, jobs)
    assert raw is not None
    kept = workflow_job(raw, ended(2, B)["id"], is_presumed=is_presumed)
    assert kept is not None
    assert decoded(encoded(kept), OF_WORKFLOW) == kept
    assert decoded(encoded(kept), KEY) is None


def test_workflow_of_which_only_the_output_was_read_is_read_again_as_it_was() -> None:
    part = with_output(job(json.dumps(ended(2, B)).encode()), b'["large"]')
    assert part is not None
    kept = of_workflow(part, OWN_ID, is_presumed=False)
    assert decoded(encoded(kept), OF_WORKFLOW) == kept


def test_record_of_a_workflow_whose_job_cannot_be_read_is_none() -> None:
    record = msgspec.msgpack.encode([b"{}", b"[]", OWN_ID, False])
    assert decoded(record, OF_WORKFLOW) is None
    record = msgspec.msgpack.encode([b"{}", None, OWN_ID, False])
    assert decoded(record, OF_WORKFLOW) is None


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
