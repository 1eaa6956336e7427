from gateway.protocols.http.query import Query
from gateway.sync.jobs.access import credentials


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
