from __future__ import annotations

import gc
import re
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.protocols.theeye.redaction import (
    SHOWN_CHARACTERS,
    redact,
    redacted_address,
    redacted_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJvcmciOiJhY21lIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/job", "/job"),
        ("/acme/job?where[_id][$in][]=a&limit=6", "/acme/job?where[_id][$in][]=a&limit=6"),
        ("/job?access_token=abc&parse", "/job?access_token=***&parse"),
        ("/job?parse&ACCESS_TOKEN=abc", "/job?parse&ACCESS_TOKEN=***"),
        ("/job?access%5Ftoken=abc", "/job?access%5Ftoken=***"),
        ("/job?%61%63cess_%2574oken=abc", "/job?%61%63cess_%2574oken=***"),
        ("/job?user[password]=abc&secret=&x=1", "/job?user[password]=***&secret=&x=1"),
        ("/job?token=a=b", "/job?token=***"),
        ("/job?a=1;token=abc", "/job?a=1;token=***"),
        ("/job?a=1?token=abc", "/job?a=1?token=***"),
        ("/job#access_token=abc", "/job#access_token=***"),
        ("/job;token=abc/x", "/job;token=***/x"),
        ("/login?next=/task/t1/secret/s3cr3t/job", "/login?next=***"),
        ("/login?next=%2Fjob%3Faccess_token%3Dabc", "/login?next=***"),
        ("/task/t1/secret/s3cr3t/job", "/task/t1/secret/***/job"),
        ("/task/t1/%73ecret/s3cr3t/job?x=1", "/task/t1/%73ecret/***/job?x=1"),
        ("/task/t1/secret//s3cr3t/job", "/task/t1/secret//***/job"),
        ("/job/secret/secret", "/job/secret/***"),
        ("/job/secret", "/job/secret"),
        ("//user:password@host/job", "//***@host/job"),
        ("http://user:password@host/job", "http://***@host/job"),
        (f"/files/{JWT}", "/files/***"),
        (f"/files/a-{JWT}/b", "/files/a-***/b"),
        (f"/files?{JWT}", "/files?***"),
        (f"/files?x={JWT}&y=1", "/files?x=***&y=1"),
        (f"/files?{JWT}=x", "/files?***=x"),
        (f"/files?x={JWT.replace('.', '%2E')}", "/files?x=***"),
        (f"/files/{JWT.replace('eyJ', '%65yJ')}/b", "/files/***/b"),
        ("/files?x=eyJ.only-one-dot", "/files?x=eyJ.only-one-dot"),
        (JWT, "***"),
        ("/job?access_token%3DV", "/job?***"),
        ("/job?access_token%253DV&parse", "/job?***&parse"),
        ("/job?x=1&a%26access_token%3DV", "/job?x=1&***"),
        ("/job?a%3Baccess_token%3DV", "/job?***"),
        ("/job/secret%2FV", "/job/***"),
        ("/job/secret%252FV/x", "/job/***/x"),
        ("/job%2Fsecret%2FV?x", "/***?x"),
        ("/task/t1%2Fsecret/V/job", "/task/t1%2Fsecret/***/job"),
        ("/job/secret%5CV", "/job/***"),
        ("/job/secret\\V", "/job/***"),
        ("/job/secret;a/V", "/job/secret;a/***"),
        ("/job/secret/%2F/V", "/job/secret/***/***"),
        ("/job/secret%20/V", "/job/secret%20/***"),
        ("/job%3Faccess_token%3DV", "/***"),
        ('/job?q={"access_token":"V"}', "/job?q=***"),
        ("/job?q=%7B%22access_token%22%3A%22V%22%7D", "/job?q=***"),
        ("/job?q=%5B%22access_token%22,%22V%22%5D", "/job?q=***"),
        ("/job?q=Bearer+V", "/job?q=***"),
        ("/job?url=https://user:V@host/", "/job?url=***"),
        ("/job?https%3A%2F%2Fuser%3AV%40host", "/job?***"),
        ("/x/https%3A%2F%2Fuser%3AV%40host", "/x/***"),
        ("/job?a=%2525252541", "/job?a=***"),
        ("/job?a=100%25&b=%25zz", "/job?a=100%25&b=%25zz"),
        ("/acme/job/a%20b?where%5B_id%5D=1", "/acme/job/a%20b?where%5B_id%5D=1"),
        ("", ""),
        ("*", "*"),
    ],
)
def test_redaction_hides_secrets_and_nothing_else(target: str, shown: str) -> None:
    assert redact(target) == shown


BASE64URL = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=8)
TOKENS = st.tuples(BASE64URL, BASE64URL, BASE64URL).map(lambda part: "eyJ" + ".".join(part))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
ENCODINGS = st.sampled_from(
    [
        lambda text: text,
        lambda text: text.replace(".", "%2e"),
        quote,
        lambda text: quote(quote(text.replace(".", "%2E"))),
    ]
)


@given(before=TEXTS, token=TOKENS, after=TEXTS, encoded=ENCODINGS)
def test_redaction_hides_a_jwt_in_whatever_place_it_stands(
    before: str, token: str, after: str, encoded: object
) -> None:
    assert callable(encoded)
    shown = redact(f"/{before}{encoded(token)}{after}")
    assert token not in shown
    assert token.split(".")[1] not in shown or token.split(".")[1] in before + after


NAMES = st.sampled_from(["access_token", "token", "secret", "client_secret", "Password", "api_key"])


@given(name=NAMES, value=st.from_regex(r"[0-9a-f]{32}", fullmatch=True), data=st.data())
def test_redaction_hides_a_secret_however_its_name_is_spelled(
    name: str, value: str, data: st.DataObject
) -> None:
    spelled = "".join(
        data.draw(st.sampled_from([letter, f"%{ord(letter):02x}"])) for letter in name
    )
    before, after = data.draw(TEXTS), data.draw(TEXTS)
    assert value not in redact(f"/job?{before}&{spelled}={value}&{after}")


@example(segment="secret", before="secret", after="")
@given(segment=st.sampled_from(["secret", "Secret", "%73ecre%74"]), before=TEXTS, after=TEXTS)
def test_redaction_hides_the_path_segment_after_secret(
    segment: str, before: str, after: str
) -> None:
    before = before.replace("?", "").replace("#", "")
    assert "0123456789abcdef" not in redact(f"/{before}/{segment}/0123456789abcdef/{after}")


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """The text, each of its characters escaped not at all, once or twice."""
    spellings = [lambda c: c, lambda c: f"%{ord(c):02x}", lambda c: f"%25{ord(c):02X}"]
    return "".join(draw(st.sampled_from(spellings))(character) for character in text)


SECRET = "0123456789abcdef"
PLACES = st.sampled_from(
    [
        ("/job?", "access_token=", ""),
        ("/job?x=1&", "user[password]=", "&y=2"),
        ("/job?x=", "/task/t1/secret/", "/job"),
        ("/job?x=", '{"token": "', '"}'),
        ("/job?x=", "https://user:", "@host/"),
        ("/", "job/secret/", "/x"),
        ("/task/t1", "/secret/", "/job"),
        ("/job", "?access_token=", ""),
        ("/job;a=b", ";secret=", ""),
        ("/job?x", "&y&secret=", ""),
    ]
)


@given(place=PLACES, data=st.data())
def test_redaction_hides_a_secret_whatever_of_its_surroundings_is_escaped(
    place: tuple[str, str, str], data: st.DataObject
) -> None:
    plain, before, after = place
    target = plain + data.draw(spelled(before)) + SECRET + data.draw(spelled(after))
    assert SECRET not in redact(target)


def test_redaction_caps_what_is_shown() -> None:
    shown = redact("/" + "a" * 10_000)
    assert len(shown) == SHOWN_CHARACTERS
    assert shown.endswith("...")


def calls_for(target: str, hide: Callable[[str], str] = redact) -> int:
    """How many functions are called to redact a target."""
    count = 0
    # Templates of replacements are compiled at first.
    hide(target)

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    # Others' callbacks at a collection would be counted, too.
    gc.disable()
    sys.setprofile(counted)
    try:
        hide(target)
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


@pytest.mark.parametrize("start", ["/?x=", "/x="])
@pytest.mark.parametrize("piece", ["eyJ", "eyJ.", "%65", "/secret", "&token", "=", "@//", ";%25"])
def test_redaction_takes_linear_time_on_hostile_targets(piece: str, start: str) -> None:
    half = start + piece * (8_192 // len(piece))
    whole = start + piece * (16_384 // len(piece))
    assert calls_for(whole) <= 2 * calls_for(half) + 20


@pytest.mark.parametrize(
    "piece", ["eyJ", "a=", "secret=", "://", "a://@", "bearer ", "/secret/", "a[", '":', "a-"]
)
def test_redaction_of_text_takes_linear_time(piece: str) -> None:
    half, whole = (piece * (length // len(piece)) for length in (8_192, 16_384))
    assert calls_for(whole, redacted_text) <= 2 * calls_for(half, redacted_text) + 20


@pytest.mark.parametrize("start", ["", "@", "?"])
def test_addresses_in_one_word_are_looked_through_once(start: str) -> None:
    """For each of them the rest of the word anew would be minutes."""
    text = start + 100_000 * "a://"
    assert redacted_address(text) == text


@given(
    address=st.lists(st.sampled_from(["a://", "://", "b", "@", "?", "#", " ", "/"]), max_size=12)
)
def test_hidden_in_addresses_is_what_stands_before_the_last_at_and_behind_the_first_mark(
    address: list[str],
) -> None:
    text = "".join(address)
    plain = re.sub(r"((?<!\w)\w+://)\S*@", r"\1***@", text)
    plain = re.sub(r"(://[^\s?]*\?)[^\s#]*", r"\1***", plain)
    assert redacted_address(text) == plain


@given(target=st.text(alphabet="/%@?#&;.eyJSsecretabc25", max_size=60))
def test_short_cut_for_targets_without_parameters_hides_the_same(target: str) -> None:
    assert redact(target) == redact(f"{target}?x=token")[: -len("?x=token")]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://:pass@cache/0", "redis://***@cache/0"),
        ("redis://:a/b@c@cache?password=x#y", "redis://***@cache?***#y"),
        ("https://cache/jwks.json", "https://cache/jwks.json"),
    ],
)
def test_userinfo_and_parameters_of_an_address_are_hidden(address: str, shown: str) -> None:
    assert redacted_address(address) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            'version 1 (plain) listening on http://[::]:6090 (settings "/a/b.toml", workers 4)',
            'version 1 (plain) listening on http://[::]:6090 (settings "/a/b.toml", workers 4)',
        ),
        ("identity.secret_file: no such file", "identity.secret_file: no such file"),
        ("a Bearer s3cret, b", "a Bearer ***, b"),
        ("GET /job?access_token=s3cret&x=1", "GET /job?access_token=***&x=1"),
        ("f(access%5Ftoken=s3cret, limit=6)", "f(access%5Ftoken=***, limit=6)"),
        ("user[password]=s3cret", "user[password]=***"),
        ('{"secret": "s3cret", "id": "x"}', '{"secret": "***", "id": "x"}'),
        ("{'api_key': b's3cret'}", "{'api_key': b'***'}"),
        ("/task/t1/secret/s3cret/job", "/task/t1/secret/***/job"),
        ("at redis://:s3cret@host/0 now", "at redis://***@host/0 now"),
        ("at http://host/x?y=s3cret now", "at http://host/x?*** now"),
        (f"refused {JWT}", "refused ***"),
        (f"a\n  b://{'x' * 3000} c", "a\n  *** c"),
    ],
)
def test_text_shows_no_secret_that_it_repeats(text: str, shown: str) -> None:
    assert redacted_text(text) == shown
