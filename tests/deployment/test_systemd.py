"""The units for systemd: they fit the gateway and each other, and systemd takes them."""

from __future__ import annotations

import configparser
import re
import subprocess
from typing import TYPE_CHECKING

from gateway.config import AdminConfig, ListenConfig
from gateway.server.systemd.activation import OPERATORS
from tests.deployment.tools import ROOT
from tests.support.harness import program

if TYPE_CHECKING:
    from pathlib import Path

UNITS = ROOT / "config" / "systemd"
SERVICE, CLIENTS, ADMIN = (
    f"theeye-sync-gateway{rest}" for rest in (".service", ".socket", "-admin.socket")
)
MOST_EXPOSED = 15
"""In tenths: of 0 to 10, as ``systemd-analyze security`` counts what a service could do."""


def unit(name: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign] # as configparser has it
    assert parsed.read(UNITS / name)
    return parsed


def installed(folder: Path) -> list[Path]:
    """Copies, with a program that is there."""
    copies = []
    for path in UNITS.iterdir():
        copies.append(folder / path.name)
        text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", path.read_text("utf-8"))
        copies[-1].write_text(text)
    return copies


def test_sockets_have_the_usual_ports_and_the_names_that_the_gateway_knows() -> None:
    clients, operators = unit(CLIENTS)["Socket"], unit(ADMIN)["Socket"]
    listen, admin = ListenConfig(), AdminConfig()
    assert clients["ListenStream"] == str(listen.port)
    assert operators["ListenStream"] == f"{admin.host}:{admin.port}"
    assert clients["FileDescriptorName"] != OPERATORS == operators["FileDescriptorName"]
    assert operators["Service"] == SERVICE
    assert unit(SERVICE)["Unit"]["Requires"] == CLIENTS


def test_service_is_of_the_sort_that_tells_of_itself() -> None:
    service = unit(SERVICE)["Service"]
    assert service["Type"] == "notify"
    assert float(service["WatchdogSec"]) >= 10
    assert service["KillMode"] == "mixed"
    assert service["ExecReload"].endswith("-HUP $MAINPID")


def test_systemd_understands_all_of_the_units(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    verified = subprocess.run(
        [analyze, "verify", "--man=no", *installed(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_service_may_do_little(tmp_path: Path) -> None:
    installed(tmp_path)
    judged = subprocess.run(
        [
            *(program("systemd-analyze"), "security", "--offline=true", "--no-pager"),
            *(f"--threshold={MOST_EXPOSED}", str(tmp_path / SERVICE)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout
