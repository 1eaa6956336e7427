import pytest

from gateway.admission.identity.identities import Identity
from gateway.errors import BadRequest, Field
from gateway.protocols.http.query import Query
from gateway.sync.jobs.access import credentials, job_access, secret_access
from tests.support.theeye import JOB_ID, identity_of

ACME = identity_of("acme")
NOBODY = identity_of("")


def test_credentials_are_the_raw_parts_that_came_and_nothing_else() -> None:
    authorization = (b"authorization", b"Bearer  t")
    found = credentials(
        Query("a=1&access%5Ftoken=x%2By&access_token=&b=2&access_token%5B%5D=z"),
        [(b"Host", b"h"), authorization],
    )
    assert found.query == "access%5Ftoken=x%2By&access_token=&access_token%5B%5D=z"
    assert found.fields == (authorization,)
    assert "x%2By" not in repr(found)
    assert "Bearer" not in repr(found)


@pytest.mark.parametrize(
    ("query", "identity", "default", "target"),
    [
        ("", ACME, "fallback", f"/acme/job/{JOB_ID}"),
        ("a=1&access%5Ftoken=t%2Bx", ACME, "", f"/acme/job/{JOB_ID}?access%5Ftoken=t%2Bx"),
        ("customer=a/b%20%C3%B1", ACME, "", f"/a%2Fb%20%C3%B1/job/{JOB_ID}"),
        ("", NOBODY, "fallback", f"/fallback/job/{JOB_ID}"),
        ("", NOBODY, "", f"/-/job/{JOB_ID}"),
    ],
)
def test_organization_is_the_querys_else_the_tokens_else_the_default(
    query: str, identity: Identity, default: str, target: str
) -> None:
    assert job_access(JOB_ID, Query(query), [], identity, default).target == target


@pytest.mark.parametrize(
    "query",
    [
        *("customer=", "customer=.", "customer=..", "customer=%2e%2E", "customer=a%00"),
        *("customer=a%0Ab", "customer=a&customer=a", "customer=" + "x" * 256),
    ],
)
def test_organization_that_is_no_name_is_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        job_access(JOB_ID, Query(query), [], ACME, "")


def test_accesses_are_of_one_batch_where_they_differ_in_nothing_but_the_job() -> None:
    bearer: list[Field] = [(b"Authorization", b"Bearer t")]
    keys = [
        job_access(JOB_ID, Query("access_token=t"), [], ACME, "").batch_key,
        job_access(JOB_ID, Query("access_token=u"), [], ACME, "").batch_key,
        job_access(JOB_ID, Query("access_token=t"), bearer, ACME, "").batch_key,
        job_access(JOB_ID, Query(""), bearer, ACME, "").batch_key,
        job_access(JOB_ID, Query("access_token=t"), [], identity_of("globex"), "").batch_key,
        secret_access(JOB_ID, "5ec", [], NOBODY).batch_key,
        secret_access(JOB_ID, "other", [], NOBODY).batch_key,
    ]
    assert len(set(keys)) == len(keys)
    assert job_access("0" * 24, Query("parse&access_token=t"), [], ACME, "").batch_key == keys[0]
