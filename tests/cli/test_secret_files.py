from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.cli.secret_files import FILES
from gateway.cli.sources import load
from gateway.config.effective import SettingsError
from gateway.config.tree import settings

if TYPE_CHECKING:
    from pathlib import Path

URL = "redis://:hunter2@redis:6379/0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "redis-url"


def environ(file: Path, **others: str) -> dict[str, str]:
    return {"GATEWAY_REDIS__URL_FILE": str(file), **others}


def test_every_secret_can_stand_in_a_file() -> None:
    known = settings()
    secrets = {key for key, setting in known.items() if setting.is_secret} | {"redis.url"}
    assert {f"{key}_file" for key in secrets} <= set(known)
    assert set(FILES) <= secrets


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_secret_is_the_files_content_without_its_last_line_break(file: Path, end: str) -> None:
    file.write_bytes((URL + end).encode())
    loaded = load(None, environ(file))
    assert loaded.config.redis.url == URL
    assert loaded.origins["redis.url"] == "GATEWAY_REDIS__URL_FILE"
    file.write_text("redis://other:6379/0")
    assert loaded.again().config.redis.url == "redis://other:6379/0"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there is nothing in it"),
        (b"\n", "there is nothing in it"),
        (b"redis://\xff", "it is not in UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_file_that_has_no_secret_is_named(file: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(None, environ(file, GATEWAY_SYNC__RESULT_STORE="redis"))
    # That another setting needs what the file should have is no problem of its own.
    assert caught.value.problems[:1] == [
        f'GATEWAY_REDIS__URL_FILE: redis.url_file "{file}": {said}'
    ]
    assert not [problem for problem in caught.value.problems if "needs redis.url" in problem]


def test_secret_and_its_file_contradict_each_other(file: Path) -> None:
    file.write_text(URL)
    with pytest.raises(SettingsError) as caught:
        load(None, environ(file, GATEWAY_REDIS__URL=URL))
    assert caught.value.problems == [
        "GATEWAY_REDIS__URL_FILE: only one of redis.url and redis.url_file can be set"
    ]


def test_secret_that_is_wrong_is_told_of_without_being_shown(file: Path) -> None:
    file.write_text("http://:hunter2@redis")
    with pytest.raises(SettingsError) as caught:
        load(None, environ(file))
    assert caught.value.problems == [
        "GATEWAY_REDIS__URL_FILE: redis.url must be redis://host:port/0, rediss://host:port/0 or"
        " unix:///path"
    ]
