import pytest

from gateway.sync.credentials import credentials


def test_credentials_are_the_raw_parts_that_came_and_nothing_else() -> None:
    authorization = (b"authorization", b"Bearer  t")
    found = credentials(
        "a=1&access%5Ftoken=x%2By&access_token=&b=2", [(b"Host", b"h"), authorization]
    )
    assert found.query == "access%5Ftoken=x%2By&access_token="
    assert found.fields == (authorization,)
    assert "x%2By" not in repr(found)
    assert "Bearer" not in repr(found)


@pytest.mark.parametrize(
    ("query", "fields", "is_one"),
    [
        ("a=1&access_token=t", 0, True),
        ("", 1, True),
        ("", 0, False),
        ("", 2, False),
        ("access_token=t", 1, False),
        ("access_token=", 1, False),
        ("access_token=t&access_token=t", 0, False),
    ],
)
def test_credentials_are_one_where_nothing_else_could_be_meant(
    query: str, fields: int, is_one: bool
) -> None:
    assert credentials(query, [(b"Authorization", b"Bearer t")] * fields).is_one is is_one
