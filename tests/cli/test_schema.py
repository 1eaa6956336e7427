from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.cli.main import main
from gateway.cli.schema import DIALECT, schema
from gateway.config.tree import settings

CONFIG = Path(__file__).parents[2] / "config"
FILE = CONFIG / "gateway.schema.json"
SCHEMA: dict[str, Any] = json.loads(schema())


def wrong(text: str) -> list[str]:
    """Where a settings file with this text is wrong, by the schema."""
    found = Draft202012Validator(SCHEMA).iter_errors(tomllib.loads(text))
    return sorted(".".join(map(str, error.absolute_path)) for error in found)


def test_the_file_is_made_from_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--schema"]) == 0
    assert capsys.readouterr().out == FILE.read_text("utf-8") == schema()


def test_the_schema_is_one_of_its_dialect() -> None:
    assert SCHEMA["$schema"] == DIALECT == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(SCHEMA)


def test_the_reference_file_names_it_and_is_right_by_it() -> None:
    text = (CONFIG / "gateway.toml").read_text("utf-8")
    assert text.splitlines()[0] == f"#:schema ./{FILE.name}"
    assert wrong(text) == []


def test_every_setting_has_its_text_and_its_default() -> None:
    for key, setting in settings().items():
        described = SCHEMA["$defs"]["Config"]
        for part in key.split("."):
            described = described["properties"][part]
            if "$ref" in described:
                described = SCHEMA["$defs"][described["$ref"].rpartition("/")[2]]
        assert described["description"], key
        if "default" in described and not setting.table:
            assert described["default"] == json.loads(json.dumps(setting.default)), key


def test_file_with_rules_and_part_of_a_table_is_right() -> None:
    text = (
        "[limits.create]\nper_second = 5\n"
        "[[limits.rules]]\norganization = 'acme'\ncreate = { per_second = 9 }\nholds = 3\n"
    )
    assert wrong(text) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[lisen]\n", [""]),
        ("[listen]\nprot = 1\n", ["listen"]),
        ("[listen]\nport = 65536\n", ["listen.port"]),
        ("[listen]\nport = '6090'\n", ["listen.port"]),
        ("[listen]\ntrusted_proxies = '10.0.0.0/8'\n", ["listen.trusted_proxies"]),
        ("[identity]\nmode = 'verfy'\n", ["identity.mode"]),
        ("[sync]\ndefault_hold_seconds = true\n", ["sync.default_hold_seconds"]),
        ("[[limits.rules]]\norganisation = 'a'\n", ["limits.rules.0"]),
        ("[[limits.rules]]\ntoken_hash = 'a'\n", ["limits.rules.0.token_hash"]),
    ],
)
def test_wrong_keys_and_values_are_found(text: str, where: list[str]) -> None:
    assert wrong(text) == where
