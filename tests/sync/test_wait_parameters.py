import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import SyncConfig
from gateway.config.tree import settings
from gateway.errors import BadRequest
from gateway.protocols.http.query import Query, split
from gateway.sync.wait_parameters import (
    HoldParameters,
    append,
    asks_to_wait,
    content_asks_to_wait,
    drained_location,
    fitted,
    fitted_query,
    hold_parameters,
    next_location,
    result_location,
    with_rid,
    without_rid,
)
from gateway.wording import allowed, shown

CONFIG = SyncConfig()
TIMEOUT = "timeout must be a whole number of seconds, 1 to 60 (sync.max_hold_seconds)"
LIMIT = "limit must be a whole number, 1 to 1000000"
COUNTER = "counter must be a whole number, 0 to 1000000"


def query_in(location: str) -> Query:
    return split(location)[1]


@pytest.mark.parametrize(
    ("query", "waits"),
    [
        ("wait_result=true", True),
        ("a=b&wait%5Fresult=%74rue&parse", True),
        ("wait_result", False),
        ("wait_result=", False),
        ("wait_result=1", False),
        ("wait_result=TRUE", False),
        # Python's `requests` sends this for `True`.
        ("wait_result=True", False),
        ("wait_result=true+", False),
        ("wait_result=true&wait_result=true", False),
        ("wait_result=true&wait_result=false", False),
        ("", False),
    ],
)
def test_wait_is_asked_by_exactly_true_once(query: str, waits: bool) -> None:
    assert asks_to_wait(Query(query)) is waits


@pytest.mark.parametrize(
    ("content", "waits"),
    [
        (b'{"wait_result":true}', True),
        (b' {"task_arguments":["\\ud800",1e400],"wait_result" : true}', True),
        (b'{"wait\\u005fresult":true}', True),
        (b'{"wait_result":false,"wait_result":true}', True),
        (b'{"wait_result":"true"}', False),
        (b'{"wait_result":1}', False),
        (b'{"a":{"wait_result":true}}', False),
        (b'[{"wait_result":true}]', False),
        (b'{"wait_result":true', False),
        (b'{"wait_result":true,"a":NaN}', False),
        (b'{"wait_result":true,"a":' + b"[" * 100_000, False),
    ],
)
def test_wait_is_asked_by_the_boolean_in_a_json_object(content: bytes, waits: bool) -> None:
    assert content_asks_to_wait(content) is waits


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", HoldParameters(0, 10, 5)),
        ("limit=6&timeout=10&parse", HoldParameters(0, 6, 10)),
        ("timeout=61", HoldParameters(0, 10, 60)),
        ("timeout=" + "9" * 10_000, HoldParameters(0, 10, 60)),
        ("timeout=" + "0" * 10_000 + "7", HoldParameters(0, 10, 7)),
        ("counter=%31&limit=1000000", HoldParameters(1, 1_000_000, 5)),
    ],
)
def test_parameters_are_read_with_their_defaults(query: str, expected: HoldParameters) -> None:
    assert hold_parameters(Query(query), CONFIG) == expected


NOT_WHOLE = ["", "x", "-1", "%2B1", "+1", "1+", "1.0", "1e1", "0x1", "%D9%A1", "%C2%B2", "1%00"]


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        *(("timeout", value, TIMEOUT) for value in [*NOT_WHOLE, "0"]),
        *(("limit", value, LIMIT) for value in [*NOT_WHOLE, "0", "1000001", "9" * 5000]),
        *(("counter", value, COUNTER) for value in [*NOT_WHOLE, "1000001"]),
    ],
)
def test_parameters_out_of_range_are_refused_by_name_with_range_and_value(
    key: str, value: str, allowed: str
) -> None:
    query = Query(f"{key}={value}")
    with pytest.raises(BadRequest) as refused:
        hold_parameters(query, CONFIG)
    assert refused.value.message == f"{allowed}, and is {shown(query.values(key)[0][:32])}"


@pytest.mark.parametrize(("key", "allowed"), [("timeout", TIMEOUT), ("counter", COUNTER)])
def test_parameters_given_twice_are_refused(key: str, allowed: str) -> None:
    with pytest.raises(BadRequest) as refused:
        hold_parameters(Query(f"{key}=1&{key}=1"), CONFIG)
    assert refused.value.message == f"{allowed}, and is given 2 times"


def test_range_of_a_limit_is_that_of_the_setting_which_has_its_default() -> None:
    kind = settings()["sync.default_limit"].type
    assert f"limit must be {allowed(kind)}" == LIMIT


@pytest.mark.parametrize(
    ("counter", "limit", "may_wait", "is_last", "waited"),
    [
        (0, 1, True, True, 0),
        (4, 6, True, False, 20),
        (5, 6, True, True, 25),
        (9, 6, False, True, 30),
    ],
)
def test_limit_is_the_number_of_requests_that_may_run(
    counter: int, limit: int, may_wait: bool, is_last: bool, waited: int
) -> None:
    parameters = HoldParameters(counter, limit, 5)
    assert parameters.may_wait is may_wait
    assert parameters.is_last is is_last
    assert parameters.waited_seconds == waited


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("", "/r?counter=0&limit=10&timeout=5"),
        ("a=b%20c&a", "/r?a=b%20c&a&counter=0&limit=10&timeout=5"),
        ("limit=6&timeout=10&parse", "/r?limit=6&timeout=10&parse&counter=0"),
        ("x&", "/r?x&counter=0&limit=10&timeout=5"),
        ("timeout=5&counter=3&limit=1", "/r?timeout=5&counter=3&limit=1"),
    ],
)
def test_location_has_the_query_and_what_it_lacks(query: str, location: str) -> None:
    assert result_location("/r", Query(query), CONFIG) == location


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("counter=0&a=b", "/r?counter=4&a=b&limit=10&timeout=5"),
        ("a&c%6Funter=3&&limit=9&timeout=1", "/r?a&c%6Funter=4&&limit=9&timeout=1"),
        ("parse", "/r?parse&counter=4&limit=10&timeout=5"),
    ],
)
def test_next_location_counts_on_in_place(query: str, location: str) -> None:
    assert next_location("/r", Query(query), 4, CONFIG) == location


QUERIES = st.lists(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#&"))
    | st.sampled_from(["counter=2", "limit=3", "timeout=4", "%6cimit=5", "access_token=a.b.c"])
).map("&".join)


@given(QUERIES)
def test_location_keeps_the_original_query_for_any_query(query: str) -> None:
    location = result_location("/r", Query(query), CONFIG)
    assert location.startswith(f"/r?{query}")
    keys = {pair.key for pair in query_in(location).pairs}
    assert {"counter", "limit", "timeout"} <= keys


@given(QUERIES)
def test_next_location_changes_nothing_but_the_counter(query: str) -> None:
    before = [
        p.raw
        for p in query_in(result_location("", Query(query), CONFIG)).pairs
        if p.key != "counter"
    ]
    after = query_in(next_location("", Query(query), 7, CONFIG)).pairs
    kept = [pair.raw for pair in after if pair.key != "counter"]
    assert sorted(kept) == sorted(before)
    assert "7" in [pair.value for pair in after if pair.key == "counter"]


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("counter=0&limit=10&timeout=5", "/r?counter=0&limit=10&timeout=5&drained=1"),
        ("parse", "/r?parse&counter=0&limit=10&timeout=5&drained=1"),
        (
            "a&draine%64=1&&counter=2&limit=1&timeout=1",
            "/r?a&drained=2&&counter=2&limit=1&timeout=1",
        ),
        ("drained=x&counter=2&limit=1&timeout=1", "/r?drained=1&counter=2&limit=1&timeout=1"),
        (
            "drained=9&counter=2&drained=3&limit=1&timeout=1",
            "/r?drained=10&counter=2&limit=1&timeout=1",
        ),
        (
            "drained=999999999&counter=2&limit=1&timeout=1",
            "/r?drained=1&counter=2&limit=1&timeout=1",
        ),
    ],
)
def test_address_after_a_drain_counts_on_and_is_else_the_same(query: str, location: str) -> None:
    assert drained_location("/r", Query(query), CONFIG) == location


@given(
    QUERIES
    | st.sampled_from(["drained=7", "a&drained=x&drained=3", "drained=999999999&b", "counter=4"]),
    st.lists(st.sampled_from(["hop", "drain"]), max_size=30),
)
def test_rfc_9110_15_4_no_address_comes_twice_in_any_chain_of_hops_and_drains(
    query: str, chain: list[str]
) -> None:
    """All of a wait is in its address, so that a restart makes no difference."""
    location = result_location("/r", Query(query), CONFIG)
    seen = [location]
    if len(query_in(location).values("counter")) > 1:
        return
    counter = 0
    for step in chain:
        asked = query_in(location)
        if step == "hop":
            counter = int(asked.values("counter")[0]) + 1
            location = next_location("/r", asked, counter, CONFIG)
        else:
            location = drained_location("/r", asked, CONFIG)
        seen.append(location)
    assert len(set(seen)) == len(seen)
    own = {"counter", "drained"}
    kept = [[pair.raw for pair in query_in(at).pairs if pair.key not in own] for at in seen]
    assert all(at == kept[0] for at in kept)


def test_nothing_is_appended_when_nothing_is_missing() -> None:
    assert append("a&") == "a&"


@given(
    st.integers(1, 200),
    st.integers(1, 60),
    st.integers(0, 30),
    st.integers(1, 60),
    st.integers(0, 3),
)
def test_fitted_wait_takes_the_time_that_was_asked_for_in_few_redirects(
    limit: int, timeout: int, most: int, max_hold: int, counter: int
) -> None:
    config = SyncConfig(max_redirects=most, max_hold_seconds=max_hold)
    asked = HoldParameters(counter, limit, min(timeout, max_hold))
    found = fitted(asked, config)
    if not most or counter or limit <= most:
        assert found == asked
        return
    assert found.limit <= most
    assert found.hold_seconds <= max_hold
    seconds, given_seconds = asked.limit * asked.hold_seconds, found.limit * found.hold_seconds
    assert seconds <= given_seconds < seconds + found.hold_seconds or (
        given_seconds == most * max_hold < seconds
    )
    assert fitted(HoldParameters(0, found.limit, found.hold_seconds), config).is_fitted is False


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("", "limit=3&timeout=17"),
        ("a=%20&limit=10", "a=%20&limit=3&timeout=17"),
        ("time%6fut=5&limit=10&b", "time%6fut=17&limit=3&b"),
    ],
)
def test_query_of_a_fitted_wait_says_so(raw: str, said: str) -> None:
    config = SyncConfig(max_redirects=3)
    parameters = fitted(hold_parameters(Query(raw), config), config)
    query = fitted_query(Query(raw), parameters)
    assert query.raw == said
    assert hold_parameters(query, config) == HoldParameters(0, 3, 17)


def test_query_stays_as_it_is_where_nothing_was_fitted() -> None:
    query = Query("limit=2")
    assert fitted_query(query, hold_parameters(query, SyncConfig())) is query


@pytest.mark.parametrize(
    ("query", "rest", "rid"),
    [
        ("counter=1&rid=0a1b", "counter=1", "0a1b"),
        ("rid=0a1b", "", "0a1b"),
        ("rid=0a1b&parse&&x=1", "parse&&x=1", "0a1b"),
        ("%72id=0%611b&parse", "parse", "0a1b"),
        ("rid=Root=1-67@a:b~c.d_e", "", "Root=1-67@a:b~c.d_e"),
        (f"parse&rid={'a' * 128}", "parse", "a" * 128),
        (f"parse&rid={'a' * 129}", "parse", ""),
        ("rid=", "", ""),
        ("rid", "", ""),
        ("rid=a&parse&rid=a", "parse", ""),
        ("rid=a&parse&rid=b", "parse", ""),
        ("rid=a%0ab", "", ""),
        ("rid=a+b", "", ""),
        ("rid=%22%3Cscript%3E", "", ""),
        ("rid=%C3%A9", "", ""),
    ],
)
def test_id_of_a_wait_is_taken_from_its_address(query: str, rest: str, rid: str) -> None:
    left, taken = without_rid(Query(query))
    assert (left.raw, taken) == (rest, rid)


@pytest.mark.parametrize("query", ["", "parse", "grid=1", "RID=1", "rid[]=1", "x=rid", "a=%72id"])
def test_query_without_an_id_stays_itself(query: str) -> None:
    asked = Query(query)
    assert without_rid(asked) == (asked, "")


@given(query=st.text(alphabet="rid=&%7+x\n", max_size=40))
def test_whatever_the_query_its_id_is_safe_and_nothing_else_changes(query: str) -> None:
    asked = Query(query)
    left, rid = without_rid(asked)
    kept = [pair.raw for pair in asked.pairs if pair.key != "rid"]
    assert [pair.raw for pair in left.pairs] == kept
    assert without_rid(left) == (left, "")
    assert not rid or with_rid("/r?", rid) == f"/r?&rid={rid}"


@given(rid=st.text(max_size=140), parameters=st.text(alphabet="ab=&", max_size=20))
def test_address_gives_the_next_request_the_id_of_the_first_or_none(
    rid: str, parameters: str
) -> None:
    address = result_location("/r", Query(parameters), CONFIG)
    named = with_rid(address, rid)
    left, taken = without_rid(query_in(named))
    assert f"/r?{left.raw}" == address
    assert named == (f"{address}&rid={rid}" if taken else address)
    assert taken in {"", rid}


@pytest.mark.parametrize(
    "proxy_id", ["a b", "a&counter=9", "a#b", "a%26b", "a/b", "é", "", "a" * 129]
)
def test_id_that_an_address_cannot_have_as_it_is_is_left_out(proxy_id: str) -> None:
    assert with_rid("/r?counter=0", proxy_id) == "/r?counter=0"
