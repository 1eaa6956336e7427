from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from gateway import __version__, build
from gateway.admission.identity.token import presented, token_hash
from gateway.cli.main import main
from gateway.cli.programs import Programs
from gateway.cli.rendering import reference
from gateway.config import Config, ListenConfig, UpstreamConfig
from gateway.config.effective import Effective
from gateway.config.tree import PREFIX
from gateway.protocols.http.query import Query
from gateway.sync.kept.seal import read_keys

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


class Started:
    """What is started with which settings, without starting it."""

    def __init__(self) -> None:
        self.served: list[Config] = []
        self.shown: list[tuple[object, bool]] = []
        self.programs = Programs(self._serve, self._serve_with_workers, self._demo)

    def main(self, *arguments: str) -> int:
        return main(arguments, self.programs)

    def _serve(self, settings: Effective) -> int:
        self.served.append(settings.config)
        return 7

    def _serve_with_workers(self, settings: Effective) -> int:
        self.served.append(settings.config)
        return 8

    def _demo(self, listen: tuple[str, int] | None, check: bool) -> int:
        self.shown.append((listen, check))
        return 3


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
def test_serve_listens_where_it_is_told(text: str, host: str, port: int) -> None:
    started = Started()
    assert started.main("serve", "--listen", text) == 7
    assert started.served == [Config(listen=ListenConfig(host=host, port=port))]


def test_serve_takes_its_settings_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started()
    file = tmp_path / "gateway.toml"
    file.write_text('[upstream]\nurl = "http://a"\nmax_connections = 9\n')
    monkeypatch.setenv("GATEWAY_UPSTREAM__MAX_CONNECTIONS", "8")
    assert started.main("serve", "--config", str(file), "--upstream", "http://b") == 7
    assert started.served == [Config(upstream=UpstreamConfig(url="http://b", max_connections=8))]


@pytest.mark.parametrize(("given", "count"), [("2", 2), ("0", 0)])
def test_serve_takes_the_number_of_workers_that_it_is_told(
    given: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_LISTEN__WORKERS", "3")
    started = Started()
    assert started.main("serve", "--workers", given) == 8
    assert started.served == [Config(listen=ListenConfig(workers=count))]
    assert started.main("serve", "--workers", "1") == 7


def test_number_of_workers_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    started = Started()
    assert started.main("serve", "--workers", "-1") == 1
    assert started.served == []
    problem = 'theeye-sync-gateway: --workers: "-1" is not a whole number, 0 to 256\n'
    assert capsys.readouterr().err == problem


def test_serve_starts_nothing_when_the_settings_are_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    started = Started()
    assert started.main("serve", "--upstream", "nowhere") == 1
    assert started.served == []
    assert capsys.readouterr().err.startswith("theeye-sync-gateway: --upstream: upstream.url must")


def test_check_prints_the_settings_in_force(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_LISTEN__PORT", "7000")
    assert main(["check"]) == 0
    printed = tomllib.loads(capsys.readouterr().out)
    assert printed["listen"]["port"] == 7000
    assert printed["sync"]["profile"] == "4.6"


def test_check_refuses_a_key_that_is_unreadable_and_shows_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_IDENTITY__MODE", "verify")
    monkeypatch.setenv("GATEWAY_REDIS__URL", "redis://:hunter2@redis")
    monkeypatch.setenv("GATEWAY_IDENTITY__SECRET_FILE", "/missing")
    for command in ("check", "serve"):
        assert main([command]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err == (
            "theeye-sync-gateway: GATEWAY_IDENTITY__SECRET_FILE:"
            ' identity.secret_file "/missing": No such file or directory\n'
        )
    monkeypatch.delenv("GATEWAY_IDENTITY__SECRET_FILE")
    monkeypatch.setenv("GATEWAY_IDENTITY__SECRET", "hunter2")
    assert main(["check"]) == 0
    printed = capsys.readouterr()
    assert "hunter2" not in printed.out + printed.err


def test_check_warns_of_too_few_file_descriptors() -> None:
    check = f"ulimit -n 1024 && exec {sys.executable} -m gateway check"
    ran = subprocess.run(["sh", "-c", check], capture_output=True, text=True, check=True)
    assert "warning" not in ran.stdout
    assert ": warning: 1024 file descriptors are too few for the settings: " in ran.stderr


def test_check_prints_all_problems(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LISTEN__PORT", "x"), ("LISTN__PORT", "1"), ("X", "")):
        monkeypatch.setenv(PREFIX + name, value)
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
def test_demo_is_called_with_its_options(arguments: list[str], called: tuple[object, bool]) -> None:
    started = Started()
    assert started.main(*arguments) == 3
    assert started.shown == [called]


HASH_TOKEN = [sys.executable, "-m", "gateway", "hash-token"]
HASHED = f"{token_hash(presented(Query('access_token=a.very.secret'), [], [])).hex()}\n"


def test_token_is_hashed_as_requests_with_it_are() -> None:
    ran = subprocess.run(HASH_TOKEN, input=b"a.very.secret\n", capture_output=True, check=True)
    assert ran.stdout.decode() == HASHED


def test_token_is_not_shown_while_it_is_typed() -> None:
    terminal, keyboard = os.openpty()
    with subprocess.Popen(
        HASH_TOKEN,
        stdin=keyboard,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stderr.read(len(b"token: ")) == b"token: "
        os.write(terminal, b"a.very.secret\n")
        assert running.stdout.read().decode() == HASHED
    os.close(keyboard)
    # Nobody writes to it any more, and nothing is left to be read.
    with pytest.raises(OSError, match="Input/output error"):
        os.read(terminal, 1)
    os.close(terminal)


def test_what_is_not_a_token_is_not_hashed() -> None:
    ran = subprocess.run(HASH_TOKEN, input=b"a very secret", capture_output=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert ran.stderr == b"theeye-sync-gateway: stdin must have one token and nothing else\n"


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
