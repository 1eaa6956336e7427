from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.identity.identities import Identity
from gateway.sync.jobs.access import Credentials, JobAccess
from gateway.sync.kept.result_key import ResultKey, holder, key_of
from tests.support.theeye import JOB_ID

ONE, OTHER = b"1" * 16, b"2" * 16
ACCESS = JobAccess(JOB_ID, "acme", Credentials("access_token=t", ()))


def whoever(key: bytes, token_hash: bytes | None, *, is_verified: bool = False) -> Identity:
    return Identity(key, "acme", "", "", token_hash, is_verified=is_verified)


def test_holder_of_a_token_is_known_by_its_hash_however_requests_are_counted() -> None:
    assert holder(ACCESS, whoever(OTHER, ONE)) == ONE


def test_verified_user_is_known_by_that_whatever_the_token() -> None:
    assert holder(ACCESS, whoever(OTHER, ONE, is_verified=True)) == OTHER


def test_client_without_a_token_is_no_holder() -> None:
    assert holder(ACCESS, whoever(OTHER, None)) is None


def test_holder_of_a_secret_is_known_by_its_hash_and_is_no_holder_of_a_token() -> None:
    by_secret = [replace(ACCESS, secret=secret) for secret in ("a", "a", "b")]
    first, same, other = (holder(read, whoever(OTHER, ONE)) for read in by_secret)
    assert first == same != other
    assert first != ONE


def test_result_of_a_workflow_is_not_that_of_its_job() -> None:
    of_workflow = replace(ACCESS, workflow_id="f" * 24)
    assert key_of(of_workflow, ONE).digest != key_of(ACCESS, ONE).digest


KEYS = st.builds(
    ResultKey,
    st.binary(min_size=16, max_size=16),
    st.text(max_size=40),
    st.text("0123456789abcdef", min_size=24, max_size=24),
    st.booleans(),
)


@given(KEYS, KEYS)
def test_context_and_digest_are_of_one_key_only(one: ResultKey, other: ResultKey) -> None:
    assert (one.context == other.context) is (one == other)
    assert (one.digest == other.digest) is (one == other)
    assert re.fullmatch("[0-9a-f]{32}", one.digest)
