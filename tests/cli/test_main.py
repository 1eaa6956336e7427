from __future__ import annotations

import io
import subprocess
import sys
import tomllib
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from gateway import __version__, build
from gateway.admission.identity.token import presented, token_hash
from gateway.cli.main import MAX_TOKEN_BYTES, main
from gateway.cli.rendering import reference
from gateway.config import Config, ListenConfig, UpstreamConfig
from gateway.protocols.http.query import Query
from gateway.sync.kept.seal import read_keys

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """What the server is started with, instead of starting it."""
    configs: list[Config] = []

    def serve(config: Config, _: Path | None) -> int:
        configs.append(config)
        return 7

    server = ModuleType("gateway.server.server")
    vars(server)["serve"] = serve
    monkeypatch.setitem(sys.modules, "gateway.server.server", server)
    return configs


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command_and_how_settings_work(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: object = main(arguments)
    except SystemExit as exit_:
        status = exit_.code
    assert status == 0
    told = capsys.readouterr().out
    for word in (
        "serve",
        "check",
        "settings",
        "demo",
        "hash-token",
        "seal-key",
        "GATEWAY_SYNC__MAX_HOLD_SECONDS",
    ):
        assert word in told


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("serve", ["--config", "--upstream", "--listen", "--workers"]),
        ("check", ["--config"]),
        ("demo", ["--check", "--listen"]),
    ],
)
def test_help_of_a_command_names_its_options(
    command: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = capsys.readouterr().out
    assert all(option in told for option in options)


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"theeye-sync-gateway {__version__} ({build()})\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["sevre"],
        ["serve", "--upstrem", "http://a"],
        ["serve", "--conf", "a"],
        ["serve", "extra"],
        ["serve", "--listen", "6090"],
        ["serve", "--listen", ":6090"],
        ["serve", "--listen", "::1:6090"],
        ["serve", "--listen", "[::1]"],
        ["serve", "--listen", "[localhost]:6090"],
        ["serve", "--listen", "localhost:65536"],
        ["serve", "--listen", "localhost:-1"],
        ["serve", "--listen", "localhost:²"],
        ["demo", "--listen", "localhost:"],
    ],
)
def test_bad_arguments_exit_2_with_a_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("[::1]:6090", "::1", 6090),
        ("localhost:0", "localhost", 0),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
    ],
)
def test_serve_listens_where_it_is_told(
    served: list[Config], text: str, host: str, port: int
) -> None:
    assert main(["serve", "--listen", text]) == 7
    assert served == [Config(listen=ListenConfig(host=host, port=port))]


def test_serve_takes_its_settings_from_everywhere(
    served: list[Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[upstream]\nurl = "http://a"\nmax_connections = 9\n')
    monkeypatch.setattr("os.environ", {"GATEWAY_UPSTREAM__MAX_CONNECTIONS": "8"})
    main(["serve", "--config", str(file), "--upstream", "http://b"])
    assert served == [Config(upstream=UpstreamConfig(url="http://b", max_connections=8))]


@pytest.mark.parametrize(("given", "count"), [("2", 2), ("0", 0)])
def test_serve_takes_the_number_of_workers_that_it_is_told(
    served: list[Config], given: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", {"GATEWAY_LISTEN__WORKERS": "3"})

    def serve_with_workers(config: Config, _: Path | None) -> int:
        served.append(config)
        return 8

    workers = ModuleType("gateway.server.parent")
    vars(workers)["serve"] = serve_with_workers
    monkeypatch.setitem(sys.modules, "gateway.server.parent", workers)
    assert main(["serve", "--workers", given]) == 8
    assert served == [Config(listen=ListenConfig(workers=count))]
    assert main(["serve", "--workers", "1"]) == 7


def test_number_of_workers_that_is_none_is_refused(
    served: list[Config], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--workers", "-1"]) == 1
    assert served == []
    problem = 'theeye-sync-gateway: --workers: "-1" is not a whole number, 0 to 256\n'
    assert capsys.readouterr().err == problem


def test_serve_starts_nothing_when_the_settings_are_wrong(
    served: list[Config], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--upstream", "nowhere"]) == 1
    assert served == []
    assert capsys.readouterr().err.startswith("theeye-sync-gateway: --upstream: upstream.url must")


def test_check_prints_the_settings_in_force(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", {"GATEWAY_LISTEN__PORT": "7000"})
    assert main(["check"]) == 0
    printed = tomllib.loads(capsys.readouterr().out)
    assert printed["listen"]["port"] == 7000
    assert printed["sync"]["profile"] == "4.6"


def test_check_refuses_a_key_that_is_unreadable_and_shows_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = {"GATEWAY_IDENTITY__MODE": "verify", "GATEWAY_REDIS__URL": "redis://:hunter2@redis"}
    monkeypatch.setattr("os.environ", {**verify, "GATEWAY_IDENTITY__SECRET_FILE": "/missing"})
    for command in ("check", "serve"):
        assert main([command]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err == (
            "theeye-sync-gateway: GATEWAY_IDENTITY__SECRET_FILE:"
            ' identity.secret_file "/missing": No such file or directory\n'
        )
    monkeypatch.setattr("os.environ", {**verify, "GATEWAY_IDENTITY__SECRET": "hunter2"})
    assert main(["check"]) == 0
    printed = capsys.readouterr()
    assert "hunter2" not in printed.out + printed.err


def test_check_warns_of_too_few_file_descriptors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.descriptors.most", lambda: 1024)
    assert main(["check"]) == 0
    printed = capsys.readouterr()
    assert "warning" not in printed.out
    assert ": warning: 1024 file descriptors are too few for the settings: " in printed.err


def test_check_prints_all_problems(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "os.environ", {"GATEWAY_LISTEN__PORT": "x", "GATEWAY_LISTN__PORT": "1", "GATEWAY_X": ""}
    )
    assert main(["check"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        (["demo"], (None, False)),
        (["demo", "--check", "--listen", "[::1]:0"], (("::1", 0), True)),
    ],
)
def test_demo_is_called_with_its_options(
    arguments: list[str], called: tuple[object, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[object, bool]] = []

    def demo(listen: tuple[str, int] | None, check: bool) -> int:
        calls.append((listen, check))
        return 3

    demonstration = ModuleType("gateway.demo.showcase")
    vars(demonstration)["demo"] = demo
    monkeypatch.setitem(sys.modules, "gateway.demo.showcase", demonstration)
    assert main(arguments) == 3
    assert calls == [called]


@pytest.mark.parametrize("given", [b"a.very.secret", b"  a.very.secret\r\n"])
def test_token_is_hashed_as_requests_with_it_are(
    given: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert main(["hash-token"]) == 0
    hashed = token_hash(presented(Query("access_token=a.very.secret"), [], []))
    assert capsys.readouterr().out == f"{hashed.hex()}\n"


def test_token_is_not_shown_while_it_is_typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: "a.very.secret")
    assert main(["hash-token"]) == 0
    assert "secret" not in capsys.readouterr().out


def test_no_token_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert main(["hash-token"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no token on stdin" in printed.err


@pytest.mark.parametrize(
    "given", [b"Bearer a.very.secret", b"one\ntwo\n", b"a\tb", b"a" * (MAX_TOKEN_BYTES + 1)]
)
def test_what_is_no_single_token_is_not_hashed(
    given: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert main(["hash-token"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "one token and nothing else" in printed.err
    assert "secret" not in printed.err


def test_a_token_is_never_an_argument() -> None:
    with pytest.raises(SystemExit):
        main(["hash-token", "a.very.secret"])


def test_the_package_runs_as_a_program() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "gateway", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"theeye-sync-gateway {__version__} ({build()})\n"


def test_settings_are_printed_as_a_file_of_all_defaults(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["settings"]) == 0
    assert capsys.readouterr().out == reference()


def test_seal_key_prints_a_key_that_a_file_may_have(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["seal-key"]) == 0
    path = tmp_path / "key"
    path.write_text(capsys.readouterr().out)
    assert len(read_keys(str(path))) == 1
