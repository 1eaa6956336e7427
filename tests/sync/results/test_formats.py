import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import JSON_CONTENT, Response, ResponseTooLarge
from gateway.protocols.http.query import Query
from gateway.protocols.theeye.job import Job, parse_job, with_output
from gateway.sync.results import formats
from gateway.sync.results.elements import MAX_STEPS
from gateway.sync.results.formats import Profile, task_fields
from tests.support.theeye import finished

RECORDINGS = Path(__file__).parents[2] / "recordings"
TEXT = (b"Content-Type", b"text/plain")

DEPARTURES = {
    "4.6": {
        # A status that is no integer is as good as none; the original answers `"503"`.
        ("result_custom_status", "parse"),
    },
    "4.15": set[tuple[str, str]](),
}


def result_response(job: Job, query: str, profile: Profile) -> Response:
    wanted = formats.result_format(Query(query), profile)
    return formats.result_response(job, wanted, profile, parse_bytes=1 << 20)


def known(**members: Any) -> Job:
    found = parse_job(finished(**members))
    assert found is not None
    return found


def recorded() -> list[Any]:
    """Every recorded result with the job it is the result of."""
    cases = []
    for profile, folder in (("4.6", "v4.6.0"), ("4.15", "v4.15.3")):
        for path in sorted((RECORDINGS / folder).glob("result_*.json")):
            bodies = {}
            exchanges = json.loads(path.read_text())["exchanges"]
            answered = []
            for exchange in exchanges:
                target = exchange["request"]["line"].split()[1]
                where, _, query = target.partition("?")
                response = exchange["response"]
                if not where.startswith("/job/") or exchange["request"].get("body"):
                    continue
                parts = [part for part in query.split("&") if not part.startswith("access_token")]
                if parts == ["full"]:
                    bodies[where] = response["body"]
                answered.append((where, "&".join(parts), response))
            for where, query, response in answered:
                case = f"{profile}-{path.stem}-{query}"
                values = (profile, path.stem, bodies[where], query, response)
                cases.append(pytest.param(*values, id=case))
    return cases


@pytest.mark.parametrize(("profile", "scenario", "body", "query", "response"), recorded())
def test_results_are_those_theeye_gave(
    profile: Profile, scenario: str, body: str, query: str, response: dict[str, str]
) -> None:
    found = parse_job(body.encode())
    assert found is not None
    answer = result_response(found, query, profile)
    status = int(response["line"].split()[1])
    is_same = (answer.status, answer.content.decode()) == (status, response["body"])
    departs = (scenario, query) in DEPARTURES[profile] and found.output != _STATUS_418
    assert is_same is not departs


_STATUS_418 = rb'["{\"statusCode\":418,\"status\":419,\"x\":1}"]'


def parsed(element: object, profile: Profile = "4.6", query: str = "parse", **job: Any) -> Response:
    return result_response(known(output=[element], **job), query, profile)


def test_documented_result_is_26_bytes() -> None:
    answer = parsed('{ "message": "Hello world!" }')
    assert answer == Response(200, b'{"message":"Hello world!"}', (JSON_CONTENT,))
    assert len(answer.content) == 26


@pytest.mark.parametrize(
    ("query", "content"),
    [
        ("", b'["1"]'),
        ("parse", b"1"),
        ("parse=0&parse=9", b"1"),
        ("output&parse", b"1"),
        ("parse&output=&full", finished(output=["1"], result={"code": 0})),
        ("full&p%61rse&result", b'{"code":0}'),
        ("Parse", b'["1"]'),
    ],
)
def test_format_is_chosen_by_the_presence_of_its_key(query: str, content: bytes) -> None:
    answer = result_response(known(output=["1"], result={"code": 0}), query, "4.6")
    assert (answer.status, answer.content) == (200, content)


@pytest.mark.parametrize("index", ["1", "x", "-1", "00", "0.0", "length", "9" * 5000, "%D9%A0"])
def test_element_that_does_not_exist_is_null(index: str) -> None:
    assert parsed("7", query=f"parse={index}").content == b"null"


@pytest.mark.parametrize("output", [None, "text", {"0": "1"}, 7, []])
def test_output_without_elements_parses_to_null(output: object) -> None:
    assert result_response(known(output=output), "parse", "4.6").content == b"null"


def with_lone_surrogates() -> bytes:
    raw = finished(output="OUTPUT", result="RESULT")
    raw = raw.replace(b'"OUTPUT"', rb'["\"\ud800\uDBFF\ud83d\ude00\""]')
    return raw.replace(b'"RESULT"', rb'{"log":"\udc00"}')


@pytest.mark.parametrize(
    ("query", "content"),
    [
        ("full", with_lone_surrogates()),
        ("output", rb'["\"\ufffd\ufffd\ud83d\ude00\""]'),
        ("result", rb'{"log":"\ufffd"}'),
        ("parse", '"��😀"'.encode()),
    ],
)
def test_lone_surrogates_become_replacement_characters_but_in_the_whole_job(
    query: str, content: bytes
) -> None:
    found = parse_job(with_lone_surrogates())
    assert found is not None
    assert result_response(found, query, "4.6") == Response(200, content)


def test_surrogates_that_a_script_escaped_itself_stay_where_they_are_parsed() -> None:
    assert parsed(r'"\ud800"').content == rb'"\ud800"'


@pytest.mark.parametrize("profile", ["4.6", "4.15"])
def test_each_profile_has_one_format_of_its_own(profile: Profile) -> None:
    own = [name for name, rule in formats.FORMATS.items() if rule.default_of == profile]
    assert own == [formats.result_format(Query(""), profile).name]


def test_job_without_output_and_result_gives_null() -> None:
    content = finished().replace(b'"output"', b'"else"')
    found = parse_job(content)
    assert found is not None
    answers = [result_response(found, query, "4.6") for query in ("output", "result", "parse")]
    assert [answer.content for answer in answers] == [b"null"] * 3


@pytest.mark.parametrize("state", ["failure", "timeout", "canceled"])
@pytest.mark.parametrize("query", ["result", "full", "output", "parse"])
def test_status_is_500_when_the_job_did_not_succeed(state: str, query: str) -> None:
    assert result_response(known(state=state), query, "4.6").status == 500


@pytest.mark.parametrize(
    ("profile", "value", "status"),
    [
        ("4.6", {"statusCode": 418, "status": 419}, 418),
        ("4.6", {"status": 404}, 404),
        ("4.6", {"statusCode": 99, "status": 404}, 404),
        ("4.6", {"statusCode": 201.0}, 201),
        ("4.15", {"statusCode": 599}, 599),
        ("4.15", {"status": 404}, 200),
        *(("4.6", {"statusCode": bad}, 200) for bad in [99, 199, 600, 1000, -1, 200.5]),
        *(("4.6", {"statusCode": bad}, 200) for bad in ["404", "abc", True, None, [404], {}]),
    ],
)
def test_task_chooses_its_status_by_an_integer_of_http(
    profile: Profile, value: object, status: int
) -> None:
    assert parsed(json.dumps(value), profile).status == status


def test_task_chosen_status_wins_over_the_jobs_failure() -> None:
    assert parsed('{"statusCode":404}', state="failure").status == 404
    assert result_response(known(output=['{"statusCode":404}']), "output", "4.6").status == 200


@pytest.mark.parametrize("status", [204, 205, 304])
def test_answer_has_no_content_where_http_allows_none(status: int) -> None:
    assert parsed(f'{{"statusCode":{status}}}') == Response(status, b"", ())


@pytest.mark.parametrize(
    ("profile", "content"),
    [
        ("4.6", b'{"message":"task ejecution result cannot be parsed","result":{"code":0}}'),
        (
            "4.15",
            (
                b'{"message":"Invalid task ejecution result. Cannot be parsed",'
                b'"details":"Unexpected token x in JSON at position 0","result":{"code":0}}'
            ),
        ),
    ],
)
def test_element_that_is_no_json_is_a_500_with_the_result(profile: Profile, content: bytes) -> None:
    assert parsed("x", profile, result={"code": 0}) == Response(500, content)


def test_message_stands_alone_when_the_job_has_no_result() -> None:
    assert parsed("NaN").content == b'{"message":"task ejecution result cannot be parsed"}'


@pytest.mark.parametrize("element", [3, None, True, {"a": 1}, ["x"]])
def test_element_that_is_no_string_is_its_own_value(element: object) -> None:
    expected = json.dumps(element, separators=(",", ":")).encode()
    assert parsed(element).content == expected


def response(**members: Any) -> Response:
    return parsed(json.dumps({"response": members}), "4.15", query="")


@pytest.mark.parametrize(
    ("members", "answer"),
    [
        ({"statusCode": 201, "body": {"a": 1.0}}, Response(201, b'{"a":1}')),
        ({"body": "x"}, Response(200, b'"x"')),
        (
            {"body": "ñ\ud800", "headers": {"Content-Type": "text/plain"}},
            Response(200, "ñ?".encode(), (TEXT,)),
        ),
        (
            {"body": None, "headers": {"content-type": "application/json", "X-N": 1.0}},
            Response(200, b"null", ((b"content-type", b"application/json"), (b"X-N", b"1"))),
        ),
        ({"statusCode": "x", "headers": 7}, Response(200, b"", ())),
        ({"statusCode": 302, "headers": {"Location": "//evil"}}, Response(302, b"", ())),
    ],
)
def test_task_sets_status_headers_and_body_in_the_newer_profile(
    members: dict[str, Any], answer: Response
) -> None:
    assert response(**members) == answer


def test_response_is_plain_data_in_the_older_profile_and_when_it_is_no_object() -> None:
    text = '{"response":{"statusCode":404}}'
    assert parsed(text, "4.6") == Response(200, text.encode())
    assert parsed('{"response":7}', "4.15").content == b'{"response":7}'


@pytest.mark.parametrize(
    "name",
    [
        *("Connection", "keep-alive", "Transfer-Encoding", "TE", "Trailer", "Upgrade"),
        *("Content-Length", "Content-Encoding", "Set-Cookie", "set-cookie2", "Location"),
        *("Access-Control-Allow-Origin", "X-TheEye-Job-Id", "Cache-Control", "Date"),
        *("", "a b", "a:b", "a\r\nb", "ñ", "a\x00"),
    ],
)
def test_headers_a_task_may_not_set_are_dropped(name: str) -> None:
    assert task_fields({name: "x", "X-Kept": "y"}) == ((b"X-Kept", b"y"),)


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\x00", "a\tb", "\x7f", "€", None, True, [1], {}])
def test_header_values_that_are_no_field_values_are_dropped(value: object) -> None:
    assert task_fields({"X-A": value, "X-B": " ñ "}) == ((b"X-B", "ñ".encode("latin-1")),)


def test_at_most_50_headers_and_16_kb_of_them_are_taken() -> None:
    assert len(task_fields({f"X-{n}": "v" for n in range(99)})) == 50
    taken = task_fields({f"X-{n}": "v" * 5000 for n in range(9)})
    assert len(taken) == 3


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just("statusCode"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["response", "statusCode", "status", "headers", "body", "Content-Type"])
            | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(ANYTHING.map(json.dumps) | st.text() | ANYTHING, max_size=3),
    ANYTHING,
    st.sampled_from(["result", "full", "output", "parse", "parse=1", ""]),
    st.sampled_from(["4.6", "4.15"]),
)
def test_formats_never_raise_whatever_a_job_holds(
    output: list[object], result: object, query: str, profile: Profile
) -> None:
    found = parse_job(finished(output=output, result=result))
    if found is not None:  # NaN and Infinity, which Python writes, are no JSON
        answer = result_response(found, query, profile)
        assert 200 <= answer.status <= 599
        for name, value in answer.fields:
            assert b"\n" not in name + value


@pytest.mark.parametrize("text", ["[" * 200_000, "[" * 200_000 + "]" * 200_000, "9" * 100_000, ""])
def test_extreme_elements_are_answered(text: str) -> None:
    assert parsed(text, "4.15").status in {200, 500}


def test_element_too_large_to_parse_is_refused_and_given_in_the_other_formats() -> None:
    large = known(output=["x" * (1 << 20)])
    with pytest.raises(ResponseTooLarge, match=r"1048578 bytes and is parsed up to 1048576"):
        result_response(large, "parse", "4.6")
    assert result_response(large, "output", "4.15").content == large.output


@pytest.mark.parametrize("profile", ["4.6", "4.15"])
@pytest.mark.parametrize(
    ("query", "content"), [("parse=1", b"7"), ("parse=2", b"null"), ("parse=999999999", b"null")]
)
def test_element_is_parsed_however_large_the_others_are(
    profile: Profile, query: str, content: bytes
) -> None:
    large = known(output=["x" * (2 << 20), "7"])
    answer = result_response(large, query, profile)
    assert (answer.status, answer.content) == (200, content)


def test_element_behind_too_many_others_is_refused_in_bounded_time() -> None:
    many = known(output=[1] * (MAX_STEPS + 2))
    with pytest.raises(ResponseTooLarge, match="too many parts"):
        result_response(many, f"parse={MAX_STEPS + 1}", "4.6")
    assert result_response(many, "parse", "4.6").content == b"1"


@pytest.mark.parametrize("profile", ["4.6", "4.15"])
@pytest.mark.parametrize(("state", "status"), [("success", 200), ("failure", 500)])
def test_empty_string_parses_to_null(profile: Profile, state: str, status: int) -> None:
    answer = parsed("", profile, state=state)
    assert (answer.status, answer.content) == (status, b"null")


@pytest.mark.parametrize(
    ("profile", "content"), [("4.6", b"1"), ("4.15", b'["1"]')], ids=["4.6", "4.15"]
)
def test_of_output_and_parse_each_profile_takes_its_own(profile: Profile, content: bytes) -> None:
    for query in ("output&parse", "parse&output"):
        assert result_response(known(output=["1"]), query, profile).content == content


@pytest.mark.parametrize("query", ["full", "result", "full&parse", "result&output"])
def test_job_of_which_only_the_output_was_read_has_no_other_format(query: str) -> None:
    part = with_output(known(), b'["1"]')
    assert part is not None
    with pytest.raises(ResponseTooLarge, match="ask for output"):
        result_response(part, query, "4.6")
    assert result_response(part, "parse", "4.6").content == b"1"
