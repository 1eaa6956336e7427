from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.identity.key_files import UnusableKey
from gateway.sync.kept.seal import KEY_BYTES, MAX_KEYS, OVERHEAD_BYTES, Seal, new_key, read_keys

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = bytes(range(KEY_BYTES)), bytes(range(200, 200 + KEY_BYTES))


@pytest.fixture(scope="module")
def sealing() -> Seal:
    return Seal([FIRST])


@given(st.binary(), st.binary(), st.binary())
def test_sealed_text_opens_under_its_context_and_under_no_other(
    sealing: Seal, text: bytes, context: bytes, other: bytes
) -> None:
    sealed = sealing.seal(text, context)
    assert len(sealed) == len(text) + OVERHEAD_BYTES
    assert sealing.opened(sealed, context) == text
    assert (sealing.opened(sealed, other) is None) is (other != context)


@given(st.binary(max_size=20), st.integers(0, 10_000), st.integers(1, 255))
def test_changed_text_does_not_open(sealing: Seal, text: bytes, at: int, flip: int) -> None:
    sealed = bytearray(sealing.seal(text, b"c"))
    sealed[at % len(sealed)] ^= flip
    assert sealing.opened(bytes(sealed), b"c") is None


@given(st.binary(max_size=80))
def test_what_was_never_sealed_does_not_open(sealing: Seal, text: bytes) -> None:
    assert sealing.opened(text, b"") is None
    assert sealing.opened(sealing.seal(b"", b"")[: len(text)], b"x") is None


def test_equal_texts_are_sealed_differently_and_show_nothing(sealing: Seal) -> None:
    one, other = sealing.seal(b"secret", b"c"), sealing.seal(b"secret", b"c")
    assert one != other
    assert b"secret" not in one


def test_first_key_seals_and_all_open() -> None:
    former, both, latter = Seal([FIRST]), Seal([SECOND, FIRST]), Seal([SECOND])
    assert both.opened(former.seal(b"a", b"c"), b"c") == b"a"
    assert latter.opened(both.seal(b"a", b"c"), b"c") == b"a"
    assert former.opened(both.seal(b"a", b"c"), b"c") is None


def test_other_keys_count_from_the_moment_that_they_are_held() -> None:
    sealing, former = Seal([FIRST]), Seal([FIRST])
    sealing.hold([SECOND])
    assert former.opened(sealing.seal(b"a", b"c"), b"c") is None
    assert Seal([SECOND]).opened(sealing.seal(b"a", b"c"), b"c") == b"a"


@pytest.mark.parametrize(
    "content",
    [
        FIRST.hex(),
        FIRST.hex().upper() + "\r\n",
        f"# the first one\n\n  {FIRST.hex()}\n",
        base64.b64encode(FIRST).decode(),
        base64.urlsafe_b64encode(FIRST).decode(),
    ],
)
def test_key_may_be_written_in_hexadecimal_digits_or_base64(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    assert read_keys(str(path)) == [FIRST]


def test_new_key_is_one_and_never_the_same(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(new_key() + "\n" + new_key())
    assert len({*read_keys(str(path))}) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there is no key in it; a key is 32 bytes"),
        (b"# nothing\n", "there is no key in it"),
        (b"too short", "it has a line that is no key"),
        (FIRST.hex().encode() + b"\n" + FIRST.hex().encode()[:-2], "it has a line that is no key"),
        (b"\xff" * KEY_BYTES, "it has a line that is no key"),
        (FIRST, "it has a line that is no key"),
        ((FIRST.hex().encode() + b"\n") * (MAX_KEYS + 1), "it has more than 8 keys"),
        (b"#" * 70_000, "it has more than 65536 bytes"),
    ],
)
def test_file_that_has_no_usable_key_is_refused_without_a_word_of_it(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(UnusableKey) as refused:
        read_keys(str(path))
    assert said in str(refused.value)
    assert FIRST.hex()[:8] not in str(refused.value)


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey, match="No such file"):
        read_keys(str(tmp_path / "none"))
