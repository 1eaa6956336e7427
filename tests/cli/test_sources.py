from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.cli.rendering import to_toml
from gateway.cli.sources import Given, load
from gateway.config import (
    Config,
    KindLimits,
    KindOverride,
    ListenConfig,
    Rule,
    SyncConfig,
)
from gateway.config.effective import SettingsError
from gateway.config.tree import RENAMED, settings

if TYPE_CHECKING:
    pass


def problems(
    path: Path | None = None, arguments: tuple[Given, ...] = (), **environ: str
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environ, arguments)
    return caught.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.toml"


def test_settings_are_the_defaults_when_nothing_is_given() -> None:
    assert load(None, {"PATH": "/bin"}).config == Config()


def test_settings_come_from_defaults_then_file_then_environment_then_arguments(
    file: Path,
) -> None:
    file.write_text("[sync]\ndefault_limit = 2\nmax_hold_seconds = 20\ndefault_hold_seconds = 4\n")
    environ = {"GATEWAY_SYNC__MAX_HOLD_SECONDS": "30", "GATEWAY_SYNC__DEFAULT_HOLD_SECONDS": "6"}
    argument = Given("sync.default_hold_seconds", "--hold", "8")
    loaded = load(file, environ, [argument])
    assert loaded.config.sync == SyncConfig(
        default_limit=2, max_hold_seconds=30, default_hold_seconds=8
    )
    assert loaded.file == file
    assert loaded.origins == {
        "sync.default_limit": f"{file}: sync.default_limit",
        "sync.max_hold_seconds": "GATEWAY_SYNC__MAX_HOLD_SECONDS",
        "sync.default_hold_seconds": "--hold",
    }


def test_settings_are_loaded_again_from_the_same_places(file: Path) -> None:
    file.write_text("[sync]\ndefault_limit = 2\n")
    environ = {"GATEWAY_LISTEN__PORT": "7000"}
    loaded = load(file, environ, [Given("listen.workers", "--workers", "3")])
    assert loaded.again() == loaded
    file.write_text("[sync]\ndefault_limit = 4\n")
    environ["GATEWAY_LISTEN__PORT"] = "7001"
    changed = loaded.again()
    assert changed.config.sync.default_limit == 4
    assert changed.config.listen == ListenConfig(port=7001, workers=3)
    file.write_text("[sync]\ndefault_limit = -1\n")
    with pytest.raises(SettingsError):
        changed.again()


@pytest.mark.parametrize(
    ("variable", "text", "listen"),
    [
        ("HOST", "::1", ListenConfig(host="::1")),
        ("PORT", "0", ListenConfig(port=0)),
        ("IDLE_SECONDS", "1.5", ListenConfig(idle_seconds=1.5)),
        ("IDLE_SECONDS", "2", ListenConfig(idle_seconds=2.0)),
        (
            "TRUSTED_PROXIES",
            "10.0.0.0/8, ::1,",
            ListenConfig(trusted_proxies=("10.0.0.0/8", "::1")),
        ),
        ("TRUSTED_PROXIES", "", ListenConfig()),
    ],
)
def test_environment_gives_a_value_of_each_type(
    variable: str, text: str, listen: ListenConfig
) -> None:
    assert load(None, {f"GATEWAY_LISTEN__{variable}": text}).config.listen == listen


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False)]
)
def test_environment_gives_booleans(text: str, value: bool) -> None:
    assert (
        load(None, {"GATEWAY_UPSTREAM__PRESERVE_HOST": text}).config.upstream.preserve_host is value
    )


def test_all_problems_are_named_at_once_with_place_value_and_what_is_allowed(file: Path) -> None:
    file.write_text(
        'log = "loud"\n[sync]\nprofile = 4.6\nmax_hold = 3\n[listen]\nport = true\n[lisen]\n'
        "[upstream]\nmax_connections = 0\nidle_seconds = nan\n"
    )
    found = problems(
        file,
        (Given("listen.host", "--listen", 3, is_text=False),),
        GATEWAY_LISTEN__PORT="65536",
        GATEWAY_LISTEN__TRUSTED_PROXIES="10.0.0.0/8,nonsense",
        GATEWAY_LOG__ACCESS="yes",
        GATEWAY_LOG_LEVEL="info",
    )
    assert sorted(found) == sorted(
        [
            f"{file}: log: must be a table, [log]",
            f'{file}: sync.profile: 4.6 is not one of "4.15", "4.6"; did you mean "4.6"?',
            f"{file}: sync.max_hold: unknown; did you mean sync.max_hold_seconds?",
            f"{file}: listen.port: true is not a whole number, 0 to 65535",
            f"{file}: lisen: unknown; did you mean listen?",
            f"{file}: upstream.max_connections: 0 is not a whole number, 1 to 1000000",
            f"{file}: upstream.idle_seconds: nan is not a number above 0, up to 86400",
            "--listen: 3 is not a text",
            'GATEWAY_LISTEN__PORT: "65536" is not a whole number, 0 to 65535',
            'GATEWAY_LISTEN__TRUSTED_PROXIES: listen.trusted_proxies: "nonsense" is no IP network,'
            " such as 10.0.0.0/8 or 192.0.2.7",
            'GATEWAY_LOG__ACCESS: "yes" is not true or false',
            "GATEWAY_LOG_LEVEL: unknown; did you mean GATEWAY_LOG__LEVEL or"
            " GATEWAY_LOG__SAMPLE_RELAY?",
        ]
    )


def test_a_list_must_be_a_list(file: Path) -> None:
    file.write_text('[listen]\ntrusted_proxies = "10.0.0.0/8"\n')
    assert problems(file) == [
        f'{file}: listen.trusted_proxies: "10.0.0.0/8" is not a list of texts'
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[sync", "is not TOML: "),
        (b"a = '\xff'", "is not TOML: not in UTF-8"),
        (b"a = " + b"1" * 5000, "is not TOML: "),
        (b"a = " + b"[" * 100_000, "is not TOML that can be read: it is nested too deeply"),
        (None, "cannot be read: No such file or directory"),
    ],
    ids=["not closed", "not in UTF-8", "long number", "deep", "missing"],
)
def test_a_file_that_cannot_be_used_is_a_problem(
    file: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        file.write_bytes(content)
    (problem,) = problems(file)
    assert problem.startswith(f"{file}: {said}")


def test_what_contradicts_is_named_where_it_was_set() -> None:
    assert problems(GATEWAY_SYNC__DEFAULT_HOLD_SECONDS="61") == [
        "GATEWAY_SYNC__DEFAULT_HOLD_SECONDS: sync.default_hold_seconds (61)"
        " must not be above sync.max_hold_seconds (60)"
    ]
    assert problems(GATEWAY_SYNC__MAX_HOLD_SECONDS="4")[0].startswith(
        "GATEWAY_SYNC__MAX_HOLD_SECONDS: "
    )


def test_what_is_wrong_by_itself_is_not_also_called_a_contradiction() -> None:
    found = problems(GATEWAY_SYNC__DEFAULT_HOLD_SECONDS="0", GATEWAY_SYNC__MAX_HOLD_SECONDS="4")
    assert found == ['GATEWAY_SYNC__DEFAULT_HOLD_SECONDS: "0" is not a whole number, 1 to 3600']


def test_a_setting_may_stand_in_a_table_within_a_table(file: Path) -> None:
    file.write_text("[limits.create]\nburst = 7\n")
    limits = load(file, {"GATEWAY_LIMITS__CREATE__PER_SECOND": "1.5"}).config.limits
    assert limits.create == KindLimits(per_second=1.5, burst=7, content_bytes=2**20)
    assert limits.other == Config().limits.other


def test_problems_within_a_table_within_a_table_are_named(file: Path) -> None:
    file.write_text("[limits]\nother = 3\n[limits.create]\nbirst = 7\nper_second = 0\n")
    assert sorted(problems(file)) == [
        f"{file}: limits.create.birst: unknown;"
        " did you mean limits.create.burst or limits.result.burst?",
        f"{file}: limits.create.per_second: 0 is not a number, 0.001 to 100000",
        f"{file}: limits.other: must be a table, [limits.other]",
    ]


SECRET = "a secret of more than thirty-two bytes"
RULES = (
    Rule(organization='a"b', create=KindOverride(per_second=5.0), holds=1),
    Rule(token_hash="0" * 32, holds=3),
)


def test_rules_come_from_the_file_and_are_printed_as_they_would_stand_there(file: Path) -> None:
    file.write_text(
        f"[identity]\nmode = 'verify'\nsecret = '{SECRET}'\n"
        "[[limits.rules]]\norganization = 'a\"b'\ncreate = { per_second = 5 }\nholds = 1\n"
        f"[[limits.rules]]\ntoken_hash = '{'0' * 32}'\nholds = 3\n"
    )
    config = load(file, {}).config
    assert config.limits.rules == RULES
    file.write_text(to_toml(config))
    assert load(file, {"GATEWAY_IDENTITY__SECRET": SECRET}).config == config


def test_rules_come_from_the_environment_as_json() -> None:
    text = msgspec.json.encode(RULES).decode()
    environ = {"GATEWAY_IDENTITY__MODE": "verify", "GATEWAY_IDENTITY__SECRET": SECRET}
    assert load(None, {**environ, "GATEWAY_LIMITS__RULES": text}).config.limits.rules == RULES


HASH = "a hash, 32 of the characters 0-9 and a-f"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no JSON", ["is not JSON: invalid character (byte 4)"]),
        ("{}", ["{} is not a list of tables"]),
        ('["acme"]', ['number 1: "acme" is not a table']),
        (
            '[{"organisation":"acme"}]',
            ["number 1: organisation: unknown; did you mean organization?"],
        ),
        (
            '[{"user":"u"},{"user":3,"create":{"burst":0,"brust":1},"result":[]}]',
            [
                "number 2: user: 3 is not a text",
                "number 2: create.burst: 0 is not a whole number, 1 to 1000000",
                "number 2: create.brust: unknown; did you mean burst?",
                "number 2: result: [] is not a table",
            ],
        ),
        ('[{"token_hash":"A-TOKEN"}]', [f'number 1: token_hash: "***" is not {HASH}']),
        (
            '[{"token_hash":"secret","holds":true}]',
            [
                f'number 1: token_hash: "***" is not {HASH}',
                "number 1: holds: true is not a whole number, 1 to 1000000",
            ],
        ),
        (
            '[{"holds":3}]',
            [
                "limits.rules: number 1: names no organization, credential, user or token_hash,"
                " so it would be for everybody"
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_rule_is_named_as_of_any_setting(text: str, said: list[str]) -> None:
    assert problems(GATEWAY_LIMITS__RULES=text) == [f"GATEWAY_LIMITS__RULES: {one}" for one in said]


def test_what_is_wrong_with_a_rule_in_the_file_is_named(file: Path) -> None:
    file.write_text("[[limits.rules]]\nholds = 0\ncreate = { per_second = -1 }\n")
    assert problems(file) == [
        f"{file}: limits.rules: number 1: holds: 0 is not a whole number, 1 to 1000000",
        f"{file}: limits.rules: number 1: create.per_second: -1 is not a number, 0.001 to 100000",
    ]


def test_contradiction_in_the_file_names_its_setting_once(file: Path) -> None:
    file.write_text("[upstream]\nurl = 'upstream'\n[[limits.rules]]\nholds = 1\n")
    first, second = problems(file)
    assert first.startswith(f"{file}: upstream.url must be http://host:port ")
    assert second.startswith(f"{file}: limits.rules: number 1: names no organization")


@pytest.mark.parametrize(
    ("given", "hint"), [("warn", "warning"), ("INFO", ""), ("err", "error"), ("loud", "")]
)
def test_word_that_is_nearly_one_of_a_few_gets_a_hint(given: str, hint: str) -> None:
    words = '"debug", "error", "info", "warning"'
    meant = f'; did you mean "{hint}"?' if hint else ""
    assert problems(GATEWAY_LOG__LEVEL=given) == [
        f'GATEWAY_LOG__LEVEL: "{given}" is not one of {words}{meant}'
    ]


def test_variables_of_a_kubernetes_service_named_gateway_are_no_settings() -> None:
    links = {
        "GATEWAY_SERVICE_HOST": "10.0.0.1",
        "GATEWAY_SERVICE_PORT": "80",
        "GATEWAY_SERVICE_PORT_HTTP": "80",
        "GATEWAY_PORT": "tcp://10.0.0.1:80",
        "GATEWAY_PORT_80_TCP_ADDR": "10.0.0.1",
        "GATEWAY_API_SERVICE_HOST": "10.0.0.2",
        "GATEWAY_API_PORT": "tcp://10.0.0.2:80",
    }
    assert load(None, links).config == Config()
    assert len(problems(GATEWAY_PORT="tcp://10.0.0.1:80")) == 1


def test_a_password_in_a_refused_url_is_not_shown() -> None:
    (problem,) = problems(GATEWAY_UPSTREAM__URL="http://root:hunter2@upstream:60080")
    assert "hunter2" not in problem


def test_setting_of_a_former_release_is_unknown_and_its_new_name_is_told(file: Path) -> None:
    file.write_text("[sync]\nresult_cache_seconds = 60\n")
    assert problems(file, GATEWAY_SYNC__RESULT_CACHE_BYTES="1") == [
        f"{file}: sync.result_cache_seconds: unknown, it is called sync.result_seconds",
        "GATEWAY_SYNC__RESULT_CACHE_BYTES: unknown, it is called GATEWAY_SYNC__RESULT_STORE_BYTES",
    ]


def test_former_names_lead_to_settings_that_there_are() -> None:
    assert set(RENAMED.values()) <= settings().keys()
    assert not RENAMED.keys() & settings().keys()
